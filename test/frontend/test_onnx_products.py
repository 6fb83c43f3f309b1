"""MatMul and Einsum of all ranks and equations: the numbers agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper
from onnx_models import floats, model, value

from smartmem.frontend import import_model


def test_products_of_vectors(run: Callable[..., list[Any]]) -> None:
    v, w, x, y = floats(4), floats(3), floats(2, 4, 3), floats(5, 1, 3, 4)
    pairs = [("v", "v"), ("v", "x"), ("x", "w"), ("y", "v"), ("w", "y")]
    arrays = {"v": v, "w": w, "x": x, "y": y}
    wanted = [np.matmul(arrays[a], arrays[b]) for a, b in pairs]
    nodes = [helper.make_node("MatMul", pair, [f"o{k}"]) for k, pair in enumerate(pairs)]
    outputs = [value(f"o{k}", *array.shape) for k, array in enumerate(wanted)]
    inputs = [value(name, *array.shape) for name, array in arrays.items()]
    results = run(import_model(model(nodes, inputs, outputs)), list(arrays.values()))
    for result, expected in zip(results, wanted, strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


EQUATIONS = (
    ("ij->", ["a"]),
    ("ba", ["a"]),
    ("ij,jk", ["a", "b"]),
    ("ii->i", ["square"]),
    ("ii", ["square"]),
    ("bii->b", ["cube"]),
    ("b...->...b", ["batch"]),
    ("...ij,...kj->...ik", ["batch", "batch"]),
    ("...ij,...kj", ["batch", "batch"]),
    ("bij,bij->", ["batch", "batch"]),
    ("ij,jk,ki->", ["a", "b", "c"]),
    ("iij,jk->ik", ["cube4", "b"]),
    ("bij,ij->bj", ["batch", "one"]),
    ("i,j->ji", ["vector", "other"]),
)


def test_equations(run: Callable[..., list[Any]]) -> None:
    arrays = {
        "a": floats(3, 4),
        "b": floats(4, 5),
        "c": floats(5, 3),
        "square": floats(4, 4),
        "cube": floats(2, 3, 3),
        "cube4": floats(3, 3, 4),
        "batch": floats(2, 3, 4),
        "one": floats(1, 4),
        "vector": floats(3),
        "other": floats(5),
    }
    wanted = [np.einsum(eq, *(arrays[n] for n in names)) for eq, names in EQUATIONS]
    nodes = [
        helper.make_node("Einsum", names, [f"o{k}"], equation=eq.replace(",", " , "))
        for k, (eq, names) in enumerate(EQUATIONS)
    ]
    outputs = [value(f"o{k}", *np.shape(array)) for k, array in enumerate(wanted)]
    inputs = [value(name, *array.shape) for name, array in arrays.items()]
    results = run(import_model(model(nodes, inputs, outputs)), list(arrays.values()))
    for (equation, _), result, expected in zip(EQUATIONS, results, wanted, strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5, err_msg=equation)
