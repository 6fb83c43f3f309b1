"""Rewrites the storage buffers of a kernel to texel buffers and 2D images.

    %p = spirv.AccessChain %buffer[%c0, %i]     %image = spirv.Load "UniformConstant" %address
    %v = spirv.Load "StorageBuffer" %p     ->   %t = spirv.ImageFetch %image, %i
                                                %v = spirv.Bitcast %t

Which bindings, and how, ``analysis/images/image_choices.py`` has decided. Texels are whole
numbers; a cast makes of them what the buffer held.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from iree.compiler import ir

from smartmem.index_map.expr import Dim, Expr, FloorDiv, floordiv, mod
from smartmem.passes.analysis.images.image_choices import ImageBinding, View, texel_index
from smartmem.passes.analysis.images.shader_bindings import Access, Shader, children
from smartmem.passes.analysis.images.shader_indices import Indices
from smartmem.passes.rewrites.images import spirv_ops as spirv

_FORMATS = {4: "R32ui", 8: "Rg32ui", 16: "Rgba32ui"}
_WORD = 4
_VERSION = (1, 4)


def bind_as_images(shader: Shader, chosen: Sequence[ImageBinding], indices: Indices) -> None:
    """Makes the bindings of ``chosen`` images, in place."""
    done = _Done({}, [])
    with shader.module.context, shader.module.location:
        for image in chosen:
            for view in image.views:
                _Rewriter(shader, image, view, indices, done).run()
        _require(shader.module, chosen)
    for op in done.dead:
        op.erase()


@dataclass(frozen=True)
class _Done:
    """What was rewritten in a kernel.

    What is read can be an index of the next access, about which ``Indices`` knows only what
    it was before. So nothing goes away until all is rewritten.

    Attributes:
        values: what was loaded, and what it is now.
        dead: the operations to erase at the end, users first.
    """

    values: dict[ir.Value, ir.Value]
    dead: list[ir.Operation]


@dataclass(frozen=True)
class _Rewriter:
    """Rewrites all that the kernel does through one variable."""

    shader: Shader
    image: ImageBinding
    view: View
    indices: Indices
    done: _Done

    def run(self) -> None:
        variable = self.view.variable
        name, type_ = self._name(), self._type()
        pointer = ir.Type.parse(f"!spirv.ptr<{type_}, UniformConstant>")
        variable.op.attributes["type"] = ir.TypeAttr.get(pointer)
        _rename(self.shader.module, variable.op, name)
        images: dict[ir.Operation, ir.Value] = {}
        for address in variable.addresses:
            images[address] = _loaded(address, name, pointer, type_)
        accesses = (*variable.loads, *variable.stores)
        for access in accesses:
            image = images[access.chain.operands[0].owner]
            with ir.InsertionPoint(access.op):
                self._replace(access, image)
        self.done.dead.extend(access.op for access in accesses)
        self.done.dead.extend({access.chain for access in accesses})
        self.done.dead.extend(variable.addresses)

    def _name(self) -> str:
        # How the runtime library learns the width of the rows.
        row = self.view.row
        name = self.view.variable.name
        return name if row is None else f"{name}_row{row}"

    def _type(self) -> ir.Type:
        dim = "Buffer" if self.view.row is None else "Dim2D"
        use = "NoSampler" if self.image.is_written else "NeedSampler"
        return ir.Type.parse(
            f"!spirv.image<i32, {dim}, NoDepth, NonArrayed, SingleSampled, {use}, "
            f"{_FORMATS[self.view.texel]}>"
        )

    def _replace(self, access: Access, image: ir.Value) -> None:
        place = self._coordinate(access)
        if access.op.name == "spirv.Store":
            _write(image, place, access.op.operands[1])
        else:
            texel = self._fetch(image, place)
            value = self._element(access, texel)
            loaded = access.op.results[0]
            loaded.replace_all_uses_with(value)
            self.done.values[loaded] = value

    def _fetch(self, image: ir.Value, place: ir.Value) -> ir.Value:
        operands, attributes = [image, place], {}
        if self.view.row is not None:
            operands.append(spirv.constant(0))
            attributes["image_operands"] = ir.Attribute.parse("#spirv.image_operands<Lod>")
        return spirv.create("spirv.ImageFetch", spirv.words(4), operands, attributes)

    def _element(self, access: Access, texel: ir.Value) -> ir.Value:
        """The element of ``access`` out of its texel."""
        element = access.op.results[0].type
        size, word = self.view.variable.bytes, texel
        words = max(size, _WORD) // _WORD
        lanes = self.view.texel // _WORD // words  # accesses in a texel
        if words < 4:
            word = _part(texel, words, self._lane(access.index, lanes, size))
        if size >= _WORD:
            return spirv.bitcast(word, element)
        pair = spirv.bitcast(word, ir.VectorType.get([2], element))
        half = self._remainder(access.index, 2)
        return spirv.extract(pair, half)

    def _lane(self, index: ir.Value, lanes: int, size: int) -> int | ir.Value:
        """Which of ``lanes`` accesses in a texel is the one at ``index``."""
        if lanes == 1:
            return 0
        halves = _WORD // size if size < _WORD else 1
        rest = self._remainder(index, lanes * halves)
        if halves == 1:
            return rest
        return rest // halves if isinstance(rest, int) else spirv.divided(rest, halves)

    def _remainder(self, index: ir.Value, divisor: int) -> int | ir.Value:
        """``index`` mod a power of two; a number if its arithmetic tells."""
        expr = mod(self._expression(index), divisor, self.indices.shape)
        if expr.is_constant:
            return expr.const
        return spirv.remainder(self._now(index), divisor)

    def _now(self, value: ir.Value) -> ir.Value:
        """A value of the kernel as it was, in the kernel as it is."""
        return self.done.values.get(value, value)

    def _expression(self, index: ir.Value) -> Expr:
        return self.indices.expression(index, self.image.length // self.view.variable.bytes)

    def _coordinate(self, access: Access) -> ir.Value:
        ratio = self.view.texel // self.view.variable.bytes
        index = self._now(access.index)
        index = index if ratio == 1 else spirv.divided(index, ratio)
        row = self.view.row
        if row is None:
            return index
        count = -(-self.image.length // self.view.texel)
        expr = texel_index(access, self.view.variable, self.view.texel, count, self.indices)
        x, y = self._column_and_row(index, expr, row)
        return spirv.vector(2, [x, y])

    def _column_and_row(
        self, index: ir.Value, expr: Expr, row: int
    ) -> tuple[ir.Value, ir.Value]:
        shape = self.indices.shape
        x, y = mod(expr, row, shape), floordiv(expr, row, shape)
        if y.is_constant and y.const == 0:
            return index, spirv.constant(0)
        if row & (row - 1) == 0 and _steps(x) + _steps(y) > 2:
            return spirv.remainder(index, row), spirv.divided(index, row)
        return self._emit(x), self._emit(y)

    def _emit(self, expr: Expr) -> ir.Value:
        """An expression as arithmetic on the values behind its leaves."""
        total: ir.Value | None = None
        for atom, factor in expr.terms:
            if isinstance(atom, Dim):
                value = self._now(self.indices.leaves[atom.index])
            elif isinstance(atom, FloorDiv):
                value = spirv.divided(self._emit(atom.operand), atom.divisor)
            else:
                value = spirv.remainder(self._emit(atom.operand), atom.modulus)
            if factor != 1:
                value = spirv.multiply(value, spirv.constant(factor))
            total = value if total is None else spirv.add(total, value)
        if total is None:
            return spirv.constant(expr.const)
        if expr.const:
            total = spirv.add(total, spirv.constant(expr.const))
        return total


def _steps(expr: Expr) -> int:
    """How many operations ``_emit`` makes of an expression."""
    steps = max(len(expr.terms) - 1, 0) + bool(expr.terms and expr.const)
    for atom, factor in expr.terms:
        steps += factor != 1
        if not isinstance(atom, Dim):
            steps += 1 + _steps(atom.operand)
    return steps


def _write(image: ir.Value, place: ir.Value, value: ir.Value) -> None:
    """Writes ``value``, whose bytes are one texel."""
    bits = _bits(value.type)
    words = bits // 32
    word = spirv.bitcast(value, spirv.i32() if words == 1 else spirv.words(words))
    zeros = [spirv.constant(0)] * (4 - words)
    texel = word if words == 4 else spirv.vector(4, [word, *zeros])
    ir.Operation.create("spirv.ImageWrite", operands=[image, place, texel])


def _bits(type_: ir.Type) -> int:
    if isinstance(type_, ir.VectorType):
        return int(type_.shape[0] * type_.element_type.width)
    return int(type_.width)


def _part(texel: ir.Value, words: int, lane: int | ir.Value) -> ir.Value:
    """One or two of the four words of a texel."""
    if words == 1:
        return spirv.extract(texel, lane)
    if isinstance(lane, int):
        first = [2 * lane, 2 * lane + 1]
        numbers = ir.ArrayAttr.get([spirv.i32_attr(n) for n in first])
        attributes = {"components": numbers}
        return spirv.create("spirv.VectorShuffle", spirv.words(2), [texel, texel], attributes)
    low = spirv.create("spirv.ShiftLeftLogical", spirv.i32(), [lane, spirv.constant(1)])
    high = spirv.add(low, spirv.constant(1))
    return spirv.vector(2, [spirv.extract(texel, low), spirv.extract(texel, high)])


def _loaded(address: ir.Operation, name: str, pointer: ir.Type, type_: ir.Type) -> ir.Value:
    """The image of a variable, loaded where its address was taken."""
    with ir.InsertionPoint(address):
        symbol = {"variable": ir.FlatSymbolRefAttr.get(name)}
        taken = spirv.create("spirv.mlir.addressof", pointer, [], symbol)
        return spirv.create("spirv.Load", type_, [taken])


def _rename(module: ir.Operation, variable: ir.Operation, name: str) -> None:
    """Gives a variable another name, also where the entry point lists it."""
    old = ir.StringAttr(variable.attributes["sym_name"]).value
    variable.attributes["sym_name"] = ir.StringAttr.get(name)
    for op in children(module):
        if op.name == "spirv.EntryPoint":
            names = [ir.FlatSymbolRefAttr(s).value for s in op.attributes["interface"]]
            renamed = [name if listed == old else listed for listed in names]
            symbols = [ir.FlatSymbolRefAttr.get(listed) for listed in renamed]
            op.attributes["interface"] = ir.ArrayAttr.get(symbols)


def _require(module: ir.Operation, chosen: Sequence[ImageBinding]) -> None:
    """Declares what images need of SPIR-V and of the device."""
    if not chosen:
        return
    needed = set()
    for image in chosen:
        if image.storage == "texel_buffer":
            needed.add("ImageBuffer" if image.is_written else "SampledBuffer")
        if any(_FORMATS[view.texel] == "Rg32ui" for view in image.views):
            needed.add("StorageImageExtendedFormats")
    text = str(module.attributes["vce_triple"])
    match = re.fullmatch(r"#spirv\.vce<v(\d+)\.(\d+), \[(.*?)\], \[(.*?)\](.*)>", text)
    assert match is not None, text
    # IREE writes v1.0 and uses instructions of 1.4.
    major, minor = max(_VERSION, (int(match[1]), int(match[2])))
    has = match[3].split(", ") if match[3] else []
    capabilities = ", ".join([*has, *sorted(needed - set(has))])
    module.attributes["vce_triple"] = ir.Attribute.parse(
        f"#spirv.vce<v{major}.{minor}, [{capabilities}], [{match[4]}]{match[5]}>"
    )
