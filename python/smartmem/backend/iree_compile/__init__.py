"""Runs iree-compile, bounded in time and memory."""
