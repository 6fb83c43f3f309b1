"""Builds one kernel, or one operation, of several."""
