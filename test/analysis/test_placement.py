"""Where a view can go: into reads that keep an order, and in front of dims that it splits."""

from __future__ import annotations

import pytest
from torch_mlir import ir

from smartmem.passes.analysis.elimination.placement import InWrite, read_access
from smartmem.passes.analysis.elimination.split_placement import split_end, split_read
from smartmem.passes.analysis.ir.accesses import Access
from smartmem.passes.analysis.ir.movement import Refusal

pytestmark = pytest.mark.usefixtures("mlir_context")

ROWS = "affine_map<(i, j) -> (i)>"
ID = "affine_map<(i, j) -> (i, j)>"


def view(result: str, operand: str, map_: str, to: str, more: str = "") -> str:
    source, _, shape = operand.partition(":")
    return f"""
  %{result} = "smartmem.view"(%{source}) {{map = affine_map<{map_}>{more}}}
      : (tensor<{shape}xf32>) -> tensor<{to}xf32>"""


def generic(result: str, operands: dict[str, str], shape: str, kinds: str, body: str) -> str:
    """A loop nest; ``operands`` are names and types with their maps, the last is the output's."""
    names, maps = [*operands], [*operands.values()]
    iterators = ", ".join({"p": '"parallel"', "r": '"reduction"'}[kind] for kind in kinds)
    ins = [name.partition(":") for name in names[:-1]]
    arguments = ", ".join(f"%{k}: f32" for k in "fgh"[: len(ins)])
    return f"""
  %{result}e = tensor.empty() : tensor<{shape}xf32>
  %{result} = linalg.generic {{indexing_maps = [{", ".join(maps)}], iterator_types = [{iterators}]}}
      ins({", ".join(f"%{n}" for n, _, _ in ins)} : {", ".join(f"tensor<{t}xf32>" for _, _, t in ins)})
      outs(%{result}e : tensor<{shape}xf32>) attrs = {{{result}}} {{
  ^bb0({arguments}, %o: f32):
    {body}
    linalg.yield %value : f32
  }} -> tensor<{shape}xf32>"""


def exp(result: str, operand: str, shape: str) -> str:
    operands = {f"{operand}:{shape}": ID, "": ID}
    return generic(result, operands, shape, "pp", "%value = math.exp %f : f32")


def total(result: str, operand: str, shape: str) -> str:
    """The sum of each row."""
    operands = {f"{operand}:{shape}": ID, "": ROWS}
    body = "%value = arith.addf %f, %o : f32"
    return generic(result, operands, shape.partition("x")[0], "pr", body)


def less(result: str, operand: str, sums: str, shape: str) -> str:
    """Less a number of each row."""
    operands = {f"{operand}:{shape}": ID, f"{sums}:{shape.partition('x')[0]}": ROWS, "": ID}
    return generic(result, operands, shape, "pp", "%value = arith.subf %f, %g : f32")


def parsed(body: str) -> tuple[ir.Module, dict[str, ir.Operation]]:
    """A module, which keeps them, and its operations by name; views are t, or the only one."""
    module = ir.Module.parse(f"""
func.func @main(%x: tensor<5x6xf32>, %y: tensor<6x5xf32>, %w: tensor<5x4xf32>) {{
  %c = arith.constant 0.0 : f32
  %e64 = tensor.empty() : tensor<6x4xf32>
  %e56 = tensor.empty() : tensor<5x6xf32>
  %m = linalg.matmul ins(%y, %w : tensor<6x5xf32>, tensor<5x4xf32>)
      outs(%e64 : tensor<6x4xf32>) -> tensor<6x4xf32>
{body}
  return
}}""")
    block = module.body.operations[0].regions[0].blocks[0]
    found = {}
    for op in block.operations:
        found["last"] = op.operation if op.operation.results else found["last"]
        keys = [name for name in "rsdq" if name in op.attributes]
        if op.operation.name == "smartmem.view":
            keys = ["view"]
        for key in keys:
            found.setdefault(key, op.operation)
    return module, found


TURNED = view("t", "x:5x6", "(i, j) -> (j, i)", "6x5")
# In a row, the second half of each pair comes behind all first ones.
UNZIPPED = view("t", "x:5x6", "(i, j) -> (i, (j mod 3) * 2 + j floordiv 3)", "5x6")
SUMS_OF_Y = total("q", "y", "6x5")
SUMS_OF_X = total("q", "x", "5x6")


@pytest.mark.parametrize(
    ("body", "keeps"),
    [
        (TURNED + exp("r", "t", "6x5"), True),
        (TURNED + exp("r", "t", "6x5") + total("s", "r", "6x5"), True),
        # A normalization reads its rows twice, and wants them as they are.
        (
            TURNED + exp("r", "t", "6x5") + total("s", "r", "6x5") + less("d", "r", "s", "6x5"),
            False,
        ),
        (TURNED + total("r", "t", "6x5"), False),
        (TURNED + SUMS_OF_Y + less("r", "t", "q", "6x5"), False),
        (UNZIPPED + SUMS_OF_X + less("r", "t", "q", "5x6"), True),
    ],
)
def test_a_read_keeps_the_order_where_readers_can_have_any(body: str, keeps: bool) -> None:
    _module, ops = parsed(body)
    access = read_access(ops["view"], ops["r"], 0)
    assert isinstance(access, Access), access
    assert access.keeps_order == keeps


TWICE = generic(
    "r", {"t:6x5": ID, "t:6x5 ": ID, "": ID}, "6x5", "pp", "%value = arith.addf %f, %g : f32"
)
ONTO = """
  %r = linalg.matmul ins(%y, %x : tensor<6x5xf32>, tensor<5x6xf32>)
      outs(%t : tensor<6x6xf32>) -> tensor<6x6xf32>"""


def test_reads_that_refuse() -> None:
    _module, ops = parsed(TURNED + TWICE)
    refusal = read_access(ops["view"], ops["r"], 0)
    assert refusal == Refusal("it is read twice by one operation")
    _module, ops = parsed(view("t", "m:6x4", "(i, j) -> (i, j mod 4)", "6x6") + ONTO)
    refusal = read_access(ops["view"], ops["last"], 2)
    assert refusal == Refusal("it is the initial value of an output")


PRODUCT = """
  %eo = tensor.empty() : tensor<5x5xf32>
  %o = linalg.matmul ins(%x, %t : tensor<5x6xf32>, tensor<6x5xf32>)
      outs(%eo : tensor<5x5xf32>) -> tensor<5x5xf32>"""


def test_who_reads_what_is_split() -> None:
    _module, ops = parsed(TURNED + exp("r", "t", "6x5"))
    access = split_read(ops["view"])
    assert isinstance(access, Access) and (access.op, access.operand) == (ops["r"], 0)
    _module, ops = parsed(TURNED + total("r", "t", "6x5"))
    assert isinstance(split_read(ops["view"]), Access)
    flat = {"t:24": "affine_map<(i) -> (i)>", "": "affine_map<(i) -> (i)>"}
    reader = generic("r", flat, "24", "p", "%value = math.exp %f : f32")
    _module, ops = parsed(view("t", "m:6x4", "(i) -> (i floordiv 4, i mod 4)", "24") + reader)
    access = split_read(ops["view"])
    assert isinstance(access, Access) and access.form.digit_shape == (6, 4)
    _module, ops = parsed(TURNED + exp("r", "t", "6x5") + exp("s", "t", "6x5"))
    assert split_read(ops["view"]) == Refusal("several operations read it")
    _module, ops = parsed(TURNED + PRODUCT)
    refusal = Refusal("neither an elementwise operation nor a sum reads it")
    assert split_read(ops["view"]) == refusal
    _module, ops = parsed(view("t", "m:6x4", "(i, j) -> (i, j mod 4)", "6x6") + ONTO)
    assert split_read(ops["view"]) == refusal


HALVES = view("t", "m:6x4", "(i, a, b) -> (i, a * 2 + b)", "6x2x2")
PADDED = view(
    "p",
    "t:6x2x2",
    "(i, a, b) -> (i, a, b)",
    "6x3x2",
    ", domain = affine_map<(i, a, b) -> (1 - a)>",
)


def elementwise_of(*operands: str) -> str:
    ids = "affine_map<(i, a, b) -> (i, a, b)>"
    return generic(
        "r",
        {**{f"{name}:6x2x2": ids for name in operands}, "": ids},
        "6x2x2",
        "ppp",
        "%value = math.exp %f : f32",
    )


def test_a_contraction_runs_over_the_dims_of_what_is_padded() -> None:
    _module, ops = parsed(HALVES + elementwise_of("t") + PADDED.replace("%t", "%r"))
    assert isinstance(split_end(ops["view"]), InWrite)
    nothing = Refusal("nothing pads it, nor what it is combined with")
    _module, ops = parsed(HALVES + elementwise_of("t"))
    assert split_end(ops["view"]) == nothing
    _module, ops = parsed(HALVES)
    assert split_end(ops["view"]) == nothing
    _module, ops = parsed(view("t", "m:6x4", "(i, u, j) -> (i, j)", "6x1x4"))
    assert split_end(ops["view"]) == Refusal("it splits no dim")


def test_a_contraction_does_for_what_pads_its_operands() -> None:
    def padded(name: str, shape: str) -> str:
        domain = ", domain = affine_map<(i, j) -> (3 - i)>"
        return view("p", f"{name}:{shape}", "(i, j) -> (i, j)", shape, domain)

    for name, shape, needs in [("y", "6x5", True), ("w", "5x4", True), ("e64", "6x4", False)]:
        module, _ = parsed(HALVES + padded(name, shape))
        assert isinstance(split_end(_first(module)), InWrite) is needs, name


def test_readers_that_need_no_dims() -> None:
    nothing = Refusal("nothing pads it, nor what it is combined with")
    total = generic(
        "r",
        {"t:6x2x2": "affine_map<(i, a, b) -> (i, a, b)>", "": "affine_map<(i, a, b) -> (i)>"},
        "6",
        "prr",
        "%value = arith.addf %f, %o : f32",
    )
    product = """
  %pe = tensor.empty() : tensor<6x2x2xf32>
  %pb = tensor.empty() : tensor<6x2x2xf32>
  %r = linalg.batch_matmul ins(%t, %pb : tensor<6x2x2xf32>, tensor<6x2x2xf32>)
      outs(%pe : tensor<6x2x2xf32>) -> tensor<6x2x2xf32>"""
    of_padded = product + PADDED.replace("%t", "%pb")
    for reader in (
        total,
        product,
        of_padded,
        '\n  "test.reader"(%t) : (tensor<6x2x2xf32>) -> ()',
    ):
        module, _ = parsed(HALVES + reader)
        assert split_end(_first(module)) == nothing


def _first(module: ir.Module) -> ir.Operation:
    """The first view."""
    function = module.body.operations[0].operation
    found = (op.operation for op in function.regions[0].blocks[0].operations)
    return next(op for op in found if op.name == "smartmem.view")


BATCHES = """
  %bl = tensor.empty() : tensor<6x2x3xf32>
  %br = tensor.empty() : tensor<6x3x2xf32>
  %be = tensor.empty() : tensor<6x2x2xf32>
  %b = linalg.batch_matmul ins(%bl, %br : tensor<6x2x3xf32>, tensor<6x3x2xf32>)
      outs(%be : tensor<6x2x2xf32>) -> tensor<6x2x2xf32>"""


def test_a_reshape_that_merges_dims_splits_no_loops() -> None:
    pad = "(i, a, b) -> (i, a, b)", "6x2x3", ", domain = affine_map<(i, a, b) -> (1 - b)>"
    merged = view("t", "b:6x2x2", "(i, j) -> (i, j floordiv 2, j mod 2)", "6x4")
    module, _ = parsed(BATCHES + merged + view("p", "bl:6x2x3", *pad))
    refusal = Refusal("the contraction has loops over its dims already")
    assert split_end(_first(module)) == refusal


def test_it_does_for_what_another_contraction_made_in_these_dims() -> None:
    batches = BATCHES
    _module, ops = parsed(batches + HALVES + elementwise_of("t", "b"))
    assert isinstance(split_end(ops["view"]), InWrite)
    _module, ops = parsed(batches + HALVES + elementwise_of("t", "be"))
    assert isinstance(split_end(ops["view"]), Refusal)
    _module, ops = parsed(
        batches + HALVES + elementwise_of("t", "b") + PADDED.replace("(%t", "(%b")
    )
    assert isinstance(split_end(ops["view"]), InWrite)
