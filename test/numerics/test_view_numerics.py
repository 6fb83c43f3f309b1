"""Views lowered to linalg compute what NumPy says, on random chains of movements.

One module holds many chains, so that one compilation checks them all.
"""

from __future__ import annotations

import math
from pathlib import Path

import iree.runtime as rt
import numpy as np
import pytest
from torch_mlir import ir

import smartmem.dialect
from smartmem import index_map as im
from smartmem.backend.iree_compile.compile import compile_bytecode
from smartmem.backend.targets.targets import resolve_target
from smartmem.index_map import expr as ex
from smartmem.mlir.pipelines import run_pipeline
from smartmem.passes import PASSES, PassContext
from smartmem.passes.base import operations

CHAINS = 40


def random_movement(rng: np.random.Generator, source: tuple[int, ...]) -> im.IndexMap:
    kind = rng.choice(["reshape", "transpose", "slice", "broadcast", "roll", "flip"])
    axis = int(rng.integers(len(source)))
    n = source[axis]
    if kind == "reshape":
        return im.reshape(source, random_shape(rng, math.prod(source)))
    if kind == "transpose":
        return im.transpose(source, list(map(int, rng.permutation(len(source)))))
    if kind == "broadcast" and math.prod(source) < 500:
        return im.broadcast(range(1, len(source) + 1), (int(rng.integers(1, 4)), *source))
    offsets, strides, sizes = [0] * len(source), [1] * len(source), list(source)
    if kind == "slice":
        offsets[axis], strides[axis] = int(rng.integers(n)), int(rng.integers(1, 4))
        sizes[axis] = int(rng.integers(1, (n - 1 - offsets[axis]) // strides[axis] + 2))
    elif kind == "flip":
        offsets[axis], strides[axis] = n - 1, -1
    elif kind == "roll":
        exprs = list(im.identity(source).exprs)
        shift = ex.add([exprs[axis], ex.constant(int(rng.integers(n)))], source)
        exprs[axis] = ex.mod(shift, n, source)
        return im.IndexMap(tuple(exprs), source)
    return im.extract_slice(offsets, sizes, strides)


def random_shape(rng: np.random.Generator, total: int) -> tuple[int, ...]:
    shape = []
    for _ in range(int(rng.integers(0, 4))):
        divisors = [d for d in range(1, total + 1) if total % d == 0]
        shape.append(int(rng.choice(divisors)))
        total //= shape[-1]
    return (*shape, total)


def random_box(rng: np.random.Generator, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    lows = [int(rng.integers(0, n)) for n in shape]
    return [
        (low, int(rng.integers(low + 1, n + 1))) for low, n in zip(lows, shape, strict=True)
    ]


class Chain:
    """A source of random values and random movements of it, in IR and in NumPy."""

    def __init__(self, rng: np.random.Generator) -> None:
        shape = tuple(int(n) for n in rng.choice([1, 2, 3, 4, 6, 8], size=rng.integers(1, 5)))
        self.input = rng.standard_normal(shape, dtype=np.float32)
        self.rng = rng
        self.total = im.identity(shape)
        self.compose_first = bool(rng.integers(2))
        self.maps = []
        for _ in range(int(rng.integers(1, 5))):
            self.maps.append(random_movement(rng, self.total.shape))
            self.total = im.compose(self.maps[-1], self.total)
        self.expected = self.total.take(self.input)
        self.box = random_box(rng, self.total.shape)
        self.ending = str(rng.choice(["plain", "pad", "concat"]))
        inside = np.broadcast_to(
            im.box_domain(self.box, self.total.shape).mask(self.total.shape), self.total.shape
        )
        if self.ending == "pad":
            self.expected = np.where(inside, self.expected, np.float32(7))
        if self.ending == "concat":
            self.expected = np.where(inside, self.expected, -self.expected)

    def build(self, source: ir.Value) -> ir.Value:
        """The chain on ``source``, as one composed view or as one view a movement."""
        steps = [self.total] if self.compose_first else self.maps
        value = source
        for step in steps[:-1]:
            value = self._view(value, step)
        if self.ending == "plain":
            return self._view(value, steps[-1])
        domain = im.box_domain(self.box, self.total.shape)
        map_ = affine(domain.constraints, len(self.total.shape))
        if self.ending == "pad":
            return self._view(value, steps[-1], map_, scalar(7.0))
        part = self._view(value, steps[-1], map_)
        rest = self._view(negated(value), steps[-1])
        everywhere = affine((), len(self.total.shape))
        return smartmem.dialect.concat([part, rest], [map_, everywhere], rest.type)

    def _view(self, value, index_map, domain=None, fill=None):  # type: ignore[no-untyped-def]
        type_ = ir.RankedTensorType.get(list(index_map.shape), value.type.element_type)
        map_ = index_map.to_affine(value.context)
        return smartmem.dialect.view(value, map_, type_, domain, fill)


def affine(exprs: tuple[ex.Expr, ...], rank: int) -> ir.AffineMap:
    from smartmem.index_map.affine import to_affine_map

    return to_affine_map(exprs, rank, ir.Context.current)


def scalar(value: float) -> ir.Value:
    type_ = ir.F32Type.get()
    attribute = ir.FloatAttr.get(type_, value)
    return ir.Operation.create("arith.constant", [type_], [], {"value": attribute}).results[0]


def negated(value: ir.Value) -> ir.Value:
    return ir.Operation.create("arith.negf", [value.type], [value]).results[0]


def build_module(chains: list[Chain]) -> ir.Module:
    f32 = ir.F32Type.get()
    inputs = [ir.RankedTensorType.get(list(c.input.shape), f32) for c in chains]
    outputs = [ir.RankedTensorType.get(list(c.expected.shape), f32) for c in chains]
    module = ir.Module.create()
    with ir.InsertionPoint(module.body):
        function = ir.Operation.parse(
            f"func.func private @main({', '.join(map(str, inputs))}) -> "
            f"({', '.join(map(str, outputs))})"
        )
        ir.InsertionPoint(module.body).insert(function)
        block = function.regions[0].blocks.append(*inputs)
        del function.attributes["sym_visibility"]
        with ir.InsertionPoint(block):
            results = [c.build(v) for c, v in zip(chains, block.arguments, strict=True)]
            ir.Operation.create("func.return", [], results)
    assert module.operation.verify()
    return module


def run(module: ir.Module, inputs: list[np.ndarray], folder: Path) -> list[np.ndarray]:
    source, output = folder / "main.mlirbc", folder / "main.vmfb"
    with source.open("wb") as file:
        module.operation.write_bytecode(file)
    compile_bytecode(source, resolve_target("cpu"), output=output)
    config = rt.Config("local-sync")
    context = rt.SystemContext(config=config)
    context.add_vm_module(rt.VmModule.mmap(config.vm_instance, str(output)))
    results = context.modules.module.main(*inputs)
    results = results if isinstance(results, tuple | list) else [results]
    return [np.asarray(r) for r in results]


@pytest.mark.parametrize("seed", [0, 1])
def test_random_chains_equal_numpy(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    chains = [Chain(rng) for _ in range(CHAINS)]
    context = ir.Context()
    smartmem.dialect.load(context)
    with context, ir.Location.unknown():
        module = build_module(chains)
        run_pipeline(module, [pass_() for pass_ in PASSES], PassContext())
        assert not any(op.name.startswith("smartmem.") for op in operations(module.operation))
        results = run(module, [c.input for c in chains], tmp_path)
    for chain, result in zip(chains, results, strict=True):
        np.testing.assert_array_equal(result, chain.expected)


def test_raising_what_was_lowered_gives_the_same_values(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    chains = [Chain(rng) for _ in range(CHAINS)]
    context = ir.Context()
    smartmem.dialect.load(context)
    with context, ir.Location.unknown():
        module = build_module(chains)
        run_pipeline(module, [pass_() for pass_ in (*PASSES, *PASSES, *PASSES)], PassContext())
        assert module.operation.verify()
        results = run(module, [c.input for c in chains], tmp_path)
    for chain, result in zip(chains, results, strict=True):
        np.testing.assert_array_equal(result, chain.expected)
