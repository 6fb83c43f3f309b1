"""What the bodies of linalg operations compute, element by element."""
