"""Builds operations over longer dims."""
