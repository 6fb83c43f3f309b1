"""Splits, orders and coalesces the loops of an operation."""
