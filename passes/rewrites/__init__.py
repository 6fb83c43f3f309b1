"""How what an analysis decided becomes upstream operations."""
