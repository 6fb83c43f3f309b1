"""IREE as SmartMem's backend: compile, targets, devices."""
