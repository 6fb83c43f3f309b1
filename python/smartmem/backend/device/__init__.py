"""The devices of this machine: found, opened, run on."""
