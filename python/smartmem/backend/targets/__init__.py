"""What a module is compiled for."""
