"""Which tensors are stored and computed in 16 bits."""
