"""Tile sizes: the analytic choice for CPUs and GPUs."""
