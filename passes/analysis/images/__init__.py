"""Which bindings of a kernel become texel buffers and images."""
