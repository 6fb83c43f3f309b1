"""IREE's ``flow``: no classes, its operations are used in their generic form."""
