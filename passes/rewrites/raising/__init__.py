"""Writes out the movements that convolutions hold."""
