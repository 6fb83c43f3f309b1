"""Which loops the operations of a shader are split into, so that no reshape lies between."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch_mlir import ir

from smartmem.passes.analysis.fusion.tile_space import common_digits, edges


def program(before, after):
    """An exp over ``before``, a reshape through one dim, and a negation over ``after``."""
    n = prod(before)

    def tensor(shape):
        return "tensor<" + "".join(f"{d}x" for d in shape) + "f32>"

    def generic(name, source, shape, operation, result):
        dims = ", ".join(f"d{k}" for k in range(len(shape)))
        kinds = ", ".join(['"parallel"'] * len(shape))
        map_ = f"affine_map<({dims}) -> ({dims})>"
        return f"""
        %{name}_e = tensor.empty() : {tensor(shape)}
        %{result} = linalg.generic {{indexing_maps = [{map_}, {map_}], iterator_types = [{kinds}]}}
          ins(%{source} : {tensor(shape)}) outs(%{name}_e : {tensor(shape)}) {{
        ^bb0(%v: f32, %o: f32):
          %y = {operation} %v : f32
          linalg.yield %y : f32
        }} -> {tensor(shape)}"""

    groups = [list(range(len(before)))], [list(range(len(after)))]
    collapse = (
        ""
        if len(before) == 1
        else (
            f"%flat = tensor.collapse_shape %a {groups[0]} : {tensor(before)} into tensor<{n}xf32>"
        )
    )
    flat = "a" if len(before) == 1 else "flat"
    expand = (
        ""
        if len(after) == 1
        else (
            f"%seen = tensor.expand_shape %{flat} {groups[1]} output_shape {list(after)} "
            f": tensor<{n}xf32> into {tensor(after)}"
        )
    )
    seen = flat if len(after) == 1 else "seen"
    return f"""
    func.func @main(%x: {tensor(before)}) -> {tensor(after)} {{
      {generic("first", "x", before, "math.exp", "a")}
      {collapse}
      {expand}
      {generic("last", seen, after, "arith.negf", "r")}
      return %r : {tensor(after)}
    }}"""


def digits_of(before, after):
    with ir.Context():
        module = ir.Module.parse(program(before, after))
        block = module.body.operations[0].regions[0].blocks[0]
        ops = [o.operation for o in block.operations if o.operation.name == "linalg.generic"]
        assert [e.operand for e in edges(ops)] == [0]
        found = common_digits(ops)
        by_result = {op.results[0]: radices for op, radices in found.items()}
        return [by_result.get(op.results[0]) for op in ops]


def test_a_split_loop_is_split_before_too():
    assert digits_of((8, 3), (4, 2, 3)) == [((4, 2), (3,)), None]


def test_both_loops_are_split_where_each_divides():
    assert digits_of((4, 6), (2, 12)) == [((2, 2), (6,)), ((2,), (2, 6))]


def test_loops_of_one_step_have_no_digits():
    assert digits_of((1, 6), (6,)) == [((), (6,)), None]


@pytest.mark.parametrize("before, after", [((4, 3), (3, 4)), ((2, 15), (5, 6))])
def test_other_digits_have_nothing_in_common(before, after):
    assert digits_of(before, after) == [None, None]


@given(st.lists(st.sampled_from([2, 3, 4]), min_size=1, max_size=4), st.data())
def test_merged_dims_have_common_digits(digits, data):
    def merged():
        cuts = data.draw(st.lists(st.booleans(), min_size=len(digits), max_size=len(digits)))
        dims = [1]
        for digit, cut in zip(digits, cuts, strict=True):
            if cut and dims[-1] > 1:
                dims.append(1)
            dims[-1] *= digit
        return tuple(dims)

    before, after = merged(), merged()
    if before == after:
        return
    first, last = digits_of(before, after)
    first = first or tuple((n,) for n in before)
    last = last or tuple((n,) for n in after)
    assert [n for loop in first for n in loop] == [n for loop in last for n in loop]
    assert tuple(map(prod, first)) == before
    assert tuple(map(prod, last)) == after
