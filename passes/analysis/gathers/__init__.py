"""Elements that are computed or looked up where they are read."""
