"""Folders with which a compiled model is built into a program."""
