"""Rewrites the memory accesses of shaders."""
