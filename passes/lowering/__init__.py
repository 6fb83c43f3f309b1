"""How index maps become upstream operations."""
