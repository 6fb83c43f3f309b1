"""Which dims are made longer, and what their padding holds."""
