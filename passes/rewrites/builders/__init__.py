"""Builders of upstream operations that rewrites share."""
