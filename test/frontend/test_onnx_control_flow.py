"""If, Loop, Scan and lists of ONNX models become straight code with the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import floats, model, value

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend import import_model

INT, BOOL = TensorProto.INT64, TensorProto.BOOL
node = helper.make_node


def _graph(
    nodes: Sequence[onnx.NodeProto],
    outputs: Sequence[onnx.ValueInfoProto],
    inputs: Sequence[onnx.ValueInfoProto] = (),
    **constants: object,
) -> onnx.GraphProto:
    held = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    return helper.make_graph(list(nodes), "body", list(inputs), list(outputs), held)


def _branch(operator: str, *shape: int) -> onnx.GraphProto:
    return _graph([node(operator, ["x"], ["inner"])], [value("inner", *shape)])


def _counted(*nodes: onnx.NodeProto, scans: int = 0, stop: bool = False) -> onnx.GraphProto:
    """A loop's body over one carried vector of 4; ``keep_on`` goes on while i < 2."""
    inputs = [value("i", element=INT), value("go", element=BOOL), value("sum", 4)]
    going = (
        node("Less", ["i", "two"], ["keep_on"])
        if stop
        else node("Identity", ["go"], ["keep_on"])
    )
    outputs = [value("keep_on", element=BOOL), value("next", 4)]
    outputs += [value(f"row{k}", 4) for k in range(scans)]
    return _graph([going, *nodes], outputs, inputs, two=np.int64(2))


ADD_ROW = (node("Gather", ["x", "i"], ["row"]), node("Add", ["sum", "row"], ["next"]))


def test_if_on_a_size(check: Callable[..., None]) -> None:
    """As exporters write squeeze(1) of an unknown size; one If holds another."""
    inner = _graph(
        [
            node("Squeeze", ["x", "axis"], ["squeezed"]),
            node(
                "If",
                ["is_one"],
                ["kept"],
                then_branch=_graph([node("Neg", ["squeezed"], ["a"])], [value("a", 3, 4)]),
                else_branch=_graph([node("Abs", ["squeezed"], ["b"])], [value("b", 3, 4)]),
            ),
        ],
        [value("kept", 3, 4)],
        axis=[1],
    )
    other = _graph([node("Identity", ["x"], ["same"])], [value("same", 3, 1, 4)])
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "one"], ["size"]),
        node("Equal", ["size", "one"], ["is_one"]),
        node("If", ["is_one"], ["chosen"], then_branch=inner, else_branch=other),
        node("Relu", ["chosen"], ["y"]),
    ]
    proto = model(nodes, [value("x", 3, 1, 4)], [value("y", 3, 4)], {"one": np.int64(1)})
    check(import_model(proto), floats(3, 1, 4))


@pytest.mark.parametrize("condition", [True, False])
def test_if_at_run_time_selects(check: Callable[..., None], condition: bool) -> None:
    branching = node(
        "If", ["c"], ["y"], then_branch=_branch("Neg", 3, 4), else_branch=_branch("Abs", 3, 4)
    )
    inputs = [value("x", 3, 4), value("c", 1, element=BOOL)]
    check(
        import_model(model([branching], inputs, [value("y", 3, 4)])),
        floats(3, 4),
        np.array([condition]),
    )


def test_if_of_two_shapes_at_run_time_is_refused() -> None:
    shaped = _graph([node("Flatten", ["x"], ["flat"], axis=0)], [value("flat", 1, 12)])
    branching = node(
        "If", ["c"], ["y"], "chooser", then_branch=_branch("Neg", 3, 4), else_branch=shaped
    )
    inputs = [value("x", 3, 4), value("c", element=BOOL)]
    with pytest.raises(UnsupportedError, match=r"If \(node 'chooser'\)"):
        import_model(model([branching], inputs, [value("y", None, None)]))


def test_loops_of_known_length(check: Callable[..., None]) -> None:
    """By a count with rows put out, by a condition, and not at all."""
    rows = _counted(*ADD_ROW, node("Mul", ["next", "row"], ["row0"]), scans=1)
    early = _counted(*ADD_ROW, stop=True)
    nodes = [
        node("Loop", ["three", "yes", "zeros"], ["sums", "rows"], body=rows),
        node("Loop", ["many", "yes", "zeros"], ["stopped"], body=early),
        node("Loop", ["", "yes", "zeros"], ["unlimited"], body=early),
        node("Loop", ["many", "no", "zeros"], ["never"], body=early),
        node("Sum", ["sums", "stopped", "unlimited", "never"], ["y"]),
    ]
    constants = {
        "three": np.int64(3),
        "many": np.int64(1000),
        "yes": True,
        "no": False,
        "zeros": np.zeros(4, np.float32),
    }
    proto = model(nodes, [value("x", 5, 4)], [value("y", 4), value("rows", 3, 4)], constants)
    check(import_model(proto), floats(5, 4))


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (None, r"how often the operator Loop \(node 'repeated'\)"),
        (10**6, "unrolls to 3000000 nodes"),
    ],
)
def test_loop_that_cannot_be_unrolled_is_refused(count: int | None, message: str) -> None:
    looping = node("Loop", ["n", "yes", "zeros"], ["y"], "repeated", body=_counted(*ADD_ROW))
    inputs = [value("x", 5, 4)] + [value("n", element=INT)] * (count is None)
    constants = {"yes": True, "zeros": np.zeros(4, np.float32)}
    if count is not None:
        constants["n"] = np.int64(count)
    with pytest.raises(UnsupportedError, match=message):
        import_model(model([looping], inputs, [value("y", 4)], constants))


def test_scan_in_both_directions(check: Callable[..., None]) -> None:
    body = _graph(
        [node("Add", ["sum", "row"], ["next"]), node("Mul", ["next", "other"], ["put"])],
        [value("next", 4), value("put", 4)],
        [value("sum", 4), value("row", 4), value("other", 4)],
    )
    scanning = node(
        "Scan",
        ["zeros", "x", "t"],
        ["last", "rows"],
        body=body,
        num_scan_inputs=2,
        scan_input_axes=[0, 1],
        scan_input_directions=[0, 1],
        scan_output_axes=[1],
        scan_output_directions=[1],
    )
    nodes = [node("Transpose", ["x"], ["t"]), scanning]
    constants = {"zeros": np.zeros(4, np.float32)}
    outputs = [value("last", 4), value("rows", 4, 3)]
    check(import_model(model(nodes, [value("x", 3, 4)], outputs, constants)), floats(3, 4))


def test_lists_of_tensors(check: Callable[..., None]) -> None:
    """Built in a loop, edited, split, and taken apart."""
    body = _graph(
        [
            node("Identity", ["go"], ["on"]),
            node("Gather", ["x", "i"], ["row"]),
            node("SequenceInsert", ["list", "row"], ["longer"]),
        ],
        [value("on", element=BOOL), helper.make_tensor_sequence_value_info("longer", 1, None)],
        [
            value("i", element=INT),
            value("go", element=BOOL),
            helper.make_tensor_sequence_value_info("list", 1, None),
        ],
    )
    nodes = [
        node("SequenceEmpty", [], ["none"]),
        node("Loop", ["three", "yes", "none"], ["all"], body=body),
        node("SequenceErase", ["all", "first"], ["two"]),
        node("ConcatFromSequence", ["two"], ["stacked"], axis=0, new_axis=1),
        node("SplitToSequence", ["x"], ["parts"], axis=1, keepdims=0),
        node("SequenceAt", ["parts", "last"], ["column"]),
        node("SequenceLength", ["parts"], ["length"]),
        node("Cast", ["length"], ["number"], to=TensorProto.FLOAT),
        node("Mul", ["column", "number"], ["scaled"]),
    ]
    constants = {"three": np.int64(3), "yes": True, "first": np.int64(0), "last": np.int64(-1)}
    outputs = [value("stacked", 2, 4), value("scaled", 3)]
    check(import_model(model(nodes, [value("x", 3, 4)], outputs, constants)), floats(3, 4))


def test_position_behind_the_end_of_a_list_is_an_error() -> None:
    nodes = [
        node("SequenceConstruct", ["x", "x"], ["pair"]),
        node("SequenceAt", ["pair", "at"], ["y"], "taker"),
    ]
    with pytest.raises(
        InvalidInputError, match=r"SequenceAt \(node 'taker'\) takes position 2"
    ):
        import_model(model(nodes, [value("x", 3)], [value("y", 3)], {"at": np.int64(2)}))
