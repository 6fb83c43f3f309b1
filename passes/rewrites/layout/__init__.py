"""Builds operations over operands of another layout."""
