"""Compares a compiled model with the original."""
