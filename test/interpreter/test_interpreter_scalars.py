"""The interpreter's arith and math compute what NumPy and Python do."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from interpreting import run, run_body

from smartmem.errors import InterpreterError, InvalidInputError, UnsupportedError

A = np.array([-7, -1, 0, 3, 127, -128], np.int8)
B = np.array([2, -3, 5, -2, 127, 3], np.int8)


def _binary(operations: dict[str, str], type_: str) -> str:
    lines = [
        f"%{n} = {op} %arg0, %arg1 : {type_}{suffix}"
        for n, (op, suffix) in enumerate(operations.items())
    ]
    names = ", ".join(f"%{n}" for n in range(len(operations)))
    return "\n".join([*lines, f"return {names} : {', '.join([type_] * len(operations))}"])


def _run_binary(names: list[str], type_: str, *inputs: object) -> dict[str, np.ndarray]:
    body = _binary(dict.fromkeys(names, ""), type_)
    results = run_body(body, [type_] * 2, ", ".join([type_] * len(names)), *inputs)
    return dict(zip(names, results, strict=True))


def test_integers_wrap_around_and_divide_as_mlir_says() -> None:
    names = "addi subi muli divsi floordivsi ceildivsi remsi divui remui maxui minui maxsi"
    got = _run_binary([f"arith.{n}" for n in names.split()], "tensor<6xi8>", A, B)
    wide, other = A.astype(int), B.astype(int)
    unsigned, divisor = wide % 256, other % 256
    want = {
        "addi": wide + other,
        "subi": wide - other,
        "muli": wide * other,
        "divsi": [int(a / b) for a, b in zip(wide, other, strict=True)],
        "floordivsi": wide // other,
        "ceildivsi": -(-wide // other),
        "remsi": [int(math.fmod(a, b)) for a, b in zip(wide, other, strict=True)],
        "divui": unsigned // divisor,
        "remui": unsigned % divisor,
        "maxui": np.maximum(unsigned, divisor),
        "minui": np.minimum(unsigned, divisor),
        "maxsi": np.maximum(wide, other),
    }
    for name, values in want.items():
        expected = np.asarray(values).astype(np.int8)
        np.testing.assert_array_equal(got[f"arith.{name}"], expected, name)


def test_one_bit_is_its_own_sign() -> None:
    a, b = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    names = [f"arith.{n}" for n in ("addi", "subi", "muli", "maxsi", "maxui", "xori", "andi")]
    got = _run_binary(names, "tensor<4xi1>", a, b)
    for name in ("addi", "subi", "xori"):
        np.testing.assert_array_equal(got[f"arith.{name}"], a ^ b)
    np.testing.assert_array_equal(got["arith.maxsi"], a & b)  # -1 is below 0
    np.testing.assert_array_equal(got["arith.maxui"], a | b)
    body = """%0 = arith.extsi %arg0 : tensor<4xi1> to tensor<4xi32>
      %1 = arith.extui %arg0 : tensor<4xi1> to tensor<4xi32>
      %2 = arith.uitofp %arg0 : tensor<4xi1> to tensor<4xf32>
      %3 = arith.trunci %0 : tensor<4xi32> to tensor<4xi1>
      return %0, %1, %2, %3 : tensor<4xi32>, tensor<4xi32>, tensor<4xf32>, tensor<4xi1>"""
    results = "tensor<4xi32>, tensor<4xi32>, tensor<4xf32>, tensor<4xi1>"
    signed, unsigned, floats, back = run_body(body, ["tensor<4xi1>"], results, a)
    assert signed.tolist() == [0, 0, -1, -1]
    assert unsigned.tolist() == floats.tolist() == [0, 0, 1, 1]
    assert back.tolist() == a.tolist()


def test_odd_widths_wrap_around_at_their_own_width() -> None:
    body = """%0 = arith.trunci %arg0 : tensor<3xi8> to tensor<3xi4>
      %1 = arith.addi %0, %0 : tensor<3xi4>
      %2 = arith.extsi %1 : tensor<3xi4> to tensor<3xi8>
      %3 = arith.extui %1 : tensor<3xi4> to tensor<3xi8>
      return %2, %3 : tensor<3xi8>, tensor<3xi8>"""
    inputs = np.array([7, 3, -8], np.int8)
    got = run_body(body, ["tensor<3xi8>"], "tensor<3xi8>, tensor<3xi8>", inputs)
    assert got[0].tolist() == [-2, 6, 0]
    assert got[1].tolist() == [14, 6, 0]


def test_comparisons_of_floats_know_nans() -> None:
    a = np.array([1, 2, math.nan, math.nan], np.float32)
    b = np.array([2, 2, 1, math.nan], np.float32)
    wanted = {
        "oeq": [0, 1, 0, 0],
        "ueq": [0, 1, 1, 1],
        "one": [1, 0, 0, 0],
        "une": [1, 0, 1, 1],
        "olt": [1, 0, 0, 0],
        "ult": [1, 0, 1, 1],
        "oge": [0, 1, 0, 0],
        "ord": [1, 1, 0, 0],
        "uno": [0, 0, 1, 1],
        "true": [1, 1, 1, 1],
        "false": [0, 0, 0, 0],
    }
    for name, want in wanted.items():
        body = f"""%0 = arith.cmpf {name}, %arg0, %arg1 : tensor<4xf32>
          return %0 : tensor<4xi1>"""
        (got,) = run_body(body, ["tensor<4xf32>"] * 2, "tensor<4xi1>", a, b)
        assert got.astype(int).tolist() == want, name
    for name, want in {"ult": [0, 0], "slt": [1, 0], "ne": [1, 0]}.items():
        body = f"%0 = arith.cmpi {name}, %arg0, %arg1 : tensor<2xi8>\nreturn %0 : tensor<2xi1>"
        (got,) = run_body(
            body, ["tensor<2xi8>"] * 2, "tensor<2xi1>", np.int8([-1, 4]), np.int8([3, 4])
        )
        assert got.astype(int).tolist() == want, name


def test_maximum_takes_nans_and_maxnum_leaves_them() -> None:
    a = np.array([math.nan, 2], np.float32)
    b = np.array([1, 3], np.float32)
    names = ["arith.maximumf", "arith.maxnumf", "arith.minnumf", "arith.remf"]
    got = _run_binary(names, "tensor<2xf32>", a, b)
    np.testing.assert_array_equal(got["arith.maximumf"], np.float32([math.nan, 3]))
    np.testing.assert_array_equal(got["arith.maxnumf"], np.float32([1, 3]))
    np.testing.assert_array_equal(got["arith.minnumf"], np.float32([1, 2]))


def test_functions_of_floats() -> None:
    x = np.array([-2.5, -0.5, 0.25, 0.5, 1.5, 2.5], np.float32)
    functions = {
        "math.erf": np.vectorize(math.erf),
        "math.tanh": np.tanh,
        "math.exp2": np.exp2,
        "math.round": lambda a: np.float32([-3, -1, 0, 1, 2, 3]),
        "math.roundeven": lambda a: np.float32([-2, 0, 0, 0, 2, 2]),
        "math.absf": np.abs,
        "math.floor": np.floor,
        "math.trunc": np.trunc,
        "math.atan": np.arctan,
        "math.log": np.log,
        "math.rsqrt": lambda a: 1 / np.sqrt(a),
    }
    lines = [f"%{n} = {f} %arg0 : tensor<6xf32>" for n, f in enumerate(functions)]
    names = ", ".join(f"%{n}" for n in range(len(functions)))
    types = ", ".join(["tensor<6xf32>"] * len(functions))
    got = run_body(
        "\n".join([*lines, f"return {names} : {types}"]), ["tensor<6xf32>"], types, x
    )
    with np.errstate(all="ignore"):
        for result, (name, function) in zip(got, functions.items(), strict=True):
            assert result.dtype == np.float32
            np.testing.assert_allclose(result, function(x), 2e-7, 1e-7, err_msg=name)


@pytest.mark.parametrize(("name", "dtype"), [("bf16", ml_dtypes.bfloat16), ("f16", np.float16)])
def test_half_precision_rounds_each_operation_once(name: str, dtype: type) -> None:
    x = np.linspace(-3, 3, 64).astype(dtype)
    type_ = f"tensor<64x{name}>"
    body = f"""%0 = math.exp %arg0 : {type_}
      %1 = arith.mulf %0, %arg0 : {type_}
      return %0, %1 : {type_}, {type_}"""
    powers, products = run_body(body, [type_], f"{type_}, {type_}", x)
    want = np.exp(x.astype(np.float32)).astype(dtype)
    assert powers.dtype == products.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(powers, want)
    np.testing.assert_array_equal(
        products, (want.astype(np.float32) * x.astype(np.float32)).astype(dtype)
    )


def test_constants_of_bf16() -> None:
    many = [i / 8 for i in range(-100, 100)]  # so many are printed as one string of digits
    body = f"""%0 = arith.constant dense<[1.5, 0x7FC0, -2.0e-3]> : tensor<3xbf16>
      %1 = arith.constant dense<{many}> : tensor<200xbf16>
      %2 = arith.constant dense<0.5> : tensor<2xbf16>
      return %0, %1, %2 : tensor<3xbf16>, tensor<200xbf16>, tensor<2xbf16>"""
    results = "tensor<3xbf16>, tensor<200xbf16>, tensor<2xbf16>"
    few, all_, same = run_body(body, [], results)
    for got, want in ((few, [1.5, math.nan, -2e-3]), (all_, many), (same, [0.5, 0.5])):
        assert got.dtype == ml_dtypes.bfloat16
        rounded = np.array(want, ml_dtypes.bfloat16).astype(np.float32)
        np.testing.assert_array_equal(got.astype(np.float32), rounded)


def test_bits_are_counted_in_the_type() -> None:
    body = """%0 = math.ctlz %arg0 : tensor<3xi8>
      %1 = math.cttz %arg0 : tensor<3xi8>
      %2 = math.ctpop %arg0 : tensor<3xi8>
      return %0, %1, %2 : tensor<3xi8>, tensor<3xi8>, tensor<3xi8>"""
    inputs = np.array([0, 12, -1], np.int8)
    types = ", ".join(["tensor<3xi8>"] * 3)
    got = run_body(body, ["tensor<3xi8>"], types, inputs)
    assert [array.tolist() for array in got] == [[8, 4, 0], [8, 2, 0], [0, 2, 8]]


def test_loops_branches_and_calls() -> None:
    text = """
      func.func private @twice(%x: f32) -> f32 {
        %0 = arith.addf %x, %x : f32
        return %0 : f32
      }
      func.func @main(%x: f32, %n: index) -> (f32, f32, index) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %0 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> (f32) {
          %b = func.call @twice(%a) : (f32) -> f32
          scf.yield %b : f32
        }
        %big = arith.cmpf ogt, %0, %x : f32
        %1 = scf.if %big -> (f32) { scf.yield %x : f32 } else { scf.yield %0 : f32 }
        %2 = affine.min affine_map<(d0)[s0] -> (d0 * 2, s0 floordiv 3)>(%n)[%n]
        return %0, %1, %2 : f32, f32, index
      }"""
    got = run(text, np.float32(3), np.int64(4))
    assert [array.item() for array in got] == [48, 3, 1]


def test_what_is_not_known_and_not_defined_is_said() -> None:
    with pytest.raises(UnsupportedError, match=r"no other\.op.*test\.mlir"):
        run('func.func @main() { "other.op"() : () -> ()\n return }')
    text = """func.func @main(%i: index, %t: tensor<4xf32>) -> f32 {
      %0 = tensor.extract %t[%i] : tensor<4xf32>
      return %0 : f32
    }"""
    with pytest.raises(InterpreterError, match=r"tensor\.extract.*test\.mlir.*index 4"):
        run(text, np.int64(4), np.zeros(4, np.float32))
    with pytest.raises(InvalidInputError, match="takes 2 arrays, but 1 are given"):
        run(text, np.int64(4))
