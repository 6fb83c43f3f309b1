"""Reading, splitting and parsing the input of ``smartmem-opt``."""

from __future__ import annotations

import pytest
from torch_mlir import ir

from smartmem.errors import InvalidInputError, VerificationError
from smartmem.tools.opt_source import Source, make_context, parse_source, verify_roundtrip

UNREGISTERED = '"acme.op"() : () -> ()'


def test_split_keeps_every_line_and_its_number() -> None:
    text = "a\nb\n// -----\n\nc\n// ----- with words\nd"
    parts = list(Source("f", text).split("// -----"))
    assert [(part.content, part.first_line) for part in parts] == [
        ("a\nb\n", 1),
        ("\nc\n", 4),
        ("d", 7),
    ]


@pytest.mark.parametrize("text", ["", "a\n", "  // -----\n"])
def test_text_without_a_marker_line_is_one_part(text: str) -> None:
    (part,) = Source("f", text).split("// -----")
    assert part == Source("f", text)


def test_bytecode_is_not_split() -> None:
    source = Source("f", b"ML\xefR\n// -----\n")
    assert list(source.split("// -----")) == [source]
    assert source.lines == []


def test_locations_carry_the_name_and_the_line_of_the_whole_file() -> None:
    part = Source("dir/f.mlir", "func.func @f(%a: f32) {\n  return\n}\n", first_line=5)
    module = parse_source(part, make_context(), implicit_module=True)
    function = module.operation.regions[0].blocks[0].operations[0].operation
    block = function.regions[0].blocks[0]
    assert str(function.location) == 'loc("dir/f.mlir":5:1)'
    assert str(block.operations[0].location) == 'loc("dir/f.mlir":6:3)'
    assert str(block.arguments[0].location) == 'loc("dir/f.mlir":5:14)'


def test_given_locations_stay() -> None:
    text = 'func.func private @f() loc("model.py":3:4)'
    module = parse_source(Source("f", text), make_context(), implicit_module=True)
    function = module.operation.regions[0].blocks[0].operations[0]
    assert str(function.location) == 'loc("model.py":3:4)'


@pytest.mark.parametrize("content", ["func.func", b"ML\xefRxx"])
def test_broken_input_names_the_file(content: str | bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"^f\.mlir does not hold valid MLIR$"):
        parse_source(Source("f.mlir", content), make_context(), implicit_module=True)


def test_roundtrip_tells_what_does_not_parse_again() -> None:
    context = make_context(allow_unregistered=True)
    module = ir.Module.parse(UNREGISTERED, context)
    verify_roundtrip(module.operation)
    # From here on the context refuses what it accepted before.
    context.allow_unregistered_dialects = False
    with pytest.raises(
        VerificationError, match=r"the text form does not parse: .*unregistered"
    ):
        verify_roundtrip(module.operation)


def test_roundtrip_tells_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ir.Module.parse("func.func private @before()", make_context())

    def other(source: Source, context: ir.Context, implicit_module: bool) -> ir.Module:
        return ir.Module.parse("func.func private @after()", context)

    monkeypatch.setattr("smartmem.tools.opt_source.parse_source", other)
    with pytest.raises(VerificationError, match=r'"before".* became .*"after"'):
        verify_roundtrip(module.operation)
