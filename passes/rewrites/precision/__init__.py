"""How tensors get 16 bits: what writes them narrows, and what reads them widens."""
