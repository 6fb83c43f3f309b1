"""Loops, indexing maps, uses: how an operation reads and writes memory."""
