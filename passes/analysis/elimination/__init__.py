"""Where data movement goes instead (SmartMem, section 3.1)."""
