"""Data movements, recognized in upstream operations."""
