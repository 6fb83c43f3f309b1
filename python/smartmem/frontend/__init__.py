"""Readers of models: each gives linalg on tensors and a parameter table."""
