"""A compiled model as a callable, and the arrays it runs on."""
