"""What passes decide on: pure functions of the IR, which change nothing."""
