"""Carries out what the analyses of algebra decided."""
