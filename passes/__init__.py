"""The passes of SmartMem, in the order in which the pipeline runs them.

``PASSES`` is the one table that ``smartmem-opt``, the compiler, the documentation
and the tests read; ``PIPELINE`` names the points between them at which a compilation
can be looked at and restarted.
"""

from __future__ import annotations

from smartmem.passes.align_accesses import AlignAccesses
from smartmem.passes.base import BindingRecord, Pass, PassContext, Remark
from smartmem.passes.bind_images import BindImages
from smartmem.passes.classify_ops import ClassifyOps
from smartmem.passes.compose_views import ComposeViews
from smartmem.passes.compute_in_f32 import ComputeInF32
from smartmem.passes.configure_kernels import ConfigureKernels
from smartmem.passes.eliminate_views import EliminateViews
from smartmem.passes.fold_constants import FoldConstants
from smartmem.passes.form_regions import FormRegions
from smartmem.passes.fuse_concats import FuseConcats
from smartmem.passes.fuse_siblings import FuseSiblings
from smartmem.passes.hoist_addresses import HoistAddresses
from smartmem.passes.lower_to_linalg import LowerToLinalg
from smartmem.passes.materialize_layouts import MaterializeLayouts
from smartmem.passes.narrow_tensors import NarrowTensors
from smartmem.passes.pack_weights import PackWeights
from smartmem.passes.pad_dims import PadDims
from smartmem.passes.place_computations import PlaceComputations
from smartmem.passes.propagate_layouts import PropagateLayouts
from smartmem.passes.quantize_weights import QuantizeWeights
from smartmem.passes.raise_views import RaiseViews
from smartmem.passes.require_subgroups import RequireSubgroups
from smartmem.passes.rewrite_algebra import RewriteAlgebra
from smartmem.passes.search_formats import SearchFormats
from smartmem.passes.select_layouts import SelectLayouts
from smartmem.passes.sink_loads import SinkLoads

__all__ = [
    "KERNEL_STAGE",
    "PASSES",
    "PIPELINE",
    "PLAIN",
    "BindImages",
    "BindingRecord",
    "HoistAddresses",
    "Pass",
    "PassContext",
    "Remark",
    "RequireSubgroups",
    "SinkLoads",
]

PASSES: tuple[type[Pass], ...] = (
    ComputeInF32,
    RaiseViews,
    PlaceComputations,
    RewriteAlgebra,
    FoldConstants,
    SelectLayouts,
    ClassifyOps,
    PadDims,
    ComposeViews,
    FuseSiblings,
    PropagateLayouts,
    MaterializeLayouts,
    EliminateViews,
    SearchFormats,
    FuseConcats,
    QuantizeWeights,
    PackWeights,
    LowerToLinalg,
    FormRegions,
    ConfigureKernels,
    NarrowTensors,
    AlignAccesses,
    BindImages,
    HoistAddresses,
    SinkLoads,
    RequireSubgroups,
)

# Upstream fuses elementwise operations while contractions are named operations, into
# which it does not fuse; later it would put them into the contractions' bodies.
_FUSE = "func.func(linalg-fuse-elementwise-ops,cse)"
_DROP_UNIT_DIMS = "canonicalize,func.func(linalg-fold-unit-extent-dims),canonicalize,cse"

# Name of the IR after the passes beside it; text is an upstream pipeline. "input" is
# the import.
PIPELINE: tuple[tuple[str, tuple[type[Pass] | str, ...]], ...] = (
    ("views", (ComputeInF32, RaiseViews)),
    ("rewritten", (PlaceComputations, _FUSE, RewriteAlgebra, FoldConstants)),
    ("windows", (SelectLayouts,)),
    ("classified", (ClassifyOps,)),
    (
        "layouts",
        (
            *(_FUSE, PlaceComputations, _FUSE, PadDims, ComposeViews),
            *(FuseSiblings, PropagateLayouts),
        ),
    ),
    (
        "eliminated",
        (
            *(MaterializeLayouts, EliminateViews, SearchFormats, MaterializeLayouts),
            FuseConcats,
        ),
    ),
    ("packed", (QuantizeWeights, PackWeights)),
    (
        "lowered",
        (
            *(LowerToLinalg, _DROP_UNIT_DIMS, FormRegions),
            *(ConfigureKernels, NarrowTensors, AlignAccesses),
        ),
    ),
)

# The stage behind iree-compile's code generation, and its passes. They take the kernels.
KERNEL_STAGE: tuple[str, tuple[type[Pass], ...]] = (
    "images",
    (BindImages, HoistAddresses, SinkLoads),
)

# What a model needs to reach iree-compile and nothing more, for when that fails with what
# PIPELINE made of it.
PLAIN: tuple[Pass, ...] = (
    ComputeInF32(),
    MaterializeLayouts(),
    LowerToLinalg(max_window=0),
    NarrowTensors(),
    AlignAccesses(),
)
