# RUN: %PYTHON %s | FileCheck %s
"""A Python-defined dialect belongs to one context: loading must cope with several."""

import gc
import weakref

from torch_mlir import ir

import smartmem.dialect

TEXT = '#smartmem.group<"ild_fixed">'


def parses(context: ir.Context) -> bool:
    with context:
        return isinstance(ir.Attribute.parse(TEXT).maybe_downcast(), smartmem.dialect.GroupAttr)


first, second = ir.Context(), ir.Context()
smartmem.dialect.load(first)
# CHECK: fresh: True
print("fresh:", parses(first))
smartmem.dialect.load(first)
# CHECK: loaded twice: True
print("loaded twice:", parses(first))
smartmem.dialect.load(second)
# CHECK: second context: True
print("second context:", parses(second))
# CHECK: back in the first: True
print("back in the first:", parses(first))

reference = weakref.ref(second)
del second
gc.collect()
# CHECK: context is let go: True
print("context is let go:", reference() is None)
