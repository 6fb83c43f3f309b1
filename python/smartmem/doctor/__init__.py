"""What this installation and machine have, for people who ask for help."""
