"""MLIR's bindings: pass pipelines, diagnostics, dialects."""
