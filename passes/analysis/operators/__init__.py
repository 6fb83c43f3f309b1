"""Operators recognized by their structure: groups, rows, windows, layers."""
