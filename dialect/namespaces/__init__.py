"""The modules that MLIR's bindings import for the dialects that they do not come with.

Before they wrap an operation the bindings import the module named after its dialect. A module
that is not found is looked for again, on the whole import path, for each operation that is
touched: tens of thousands of times in a compilation. So there is one here for each dialect
that models hold beside MLIR's own.
"""
