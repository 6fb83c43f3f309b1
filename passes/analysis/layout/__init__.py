"""Which layout a tensor gets, and what it costs."""
