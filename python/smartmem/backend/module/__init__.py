"""The compiled module as a file: its checksum, metadata and shaders."""
