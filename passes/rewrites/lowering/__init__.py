"""Builds upstream operations of views, concats and windows."""
