"""``smartmem.compile``: the stages, and what happens when one fails."""
