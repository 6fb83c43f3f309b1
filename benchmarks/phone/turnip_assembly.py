"""What a wave issues of a shader: turnip's assembly, with its loops counted as often as they run.

The driver counts each instruction once. A loop of known length is a backward branch whose
comparison reads a counter that the loop steps by a constant; what cannot be told runs once, and
is reported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_LABEL = re.compile(r"^l(\d+):")
_INSTRUCTION = re.compile(r"^\s*((?:\([^)]*\))*)\s*([a-z][\w.]*)\s*(.*)$")
_CONSTANT = re.compile(r"^@const\(c(\d+)\.x\)\s+(.*)$", re.MULTILINE)
_TARGET = re.compile(r"#l(\d+)")
_REPEAT, _DELAY = re.compile(r"\(rpt(\d)\)"), re.compile(r"\(nop(\d)\)")
_HEAD = ("@", ";", "Native")
_NOT_CODE = ("in0", "out", "end.")
_TRUE = "h(0)"
_BRANCHES = re.compile(r"b|b[ra]\w*|jump|getone|shps")

CLASSES = (
    ("fma", re.compile(r"(mad|madsh)\.f")),
    ("texture", re.compile(r"isam|sam")),
    ("buffer", re.compile(r"ldib|ldg|ldc")),
    ("store", re.compile(r"stib|stg")),
    ("shared", re.compile(r"ldl|stl")),
    ("spill", re.compile(r"ldp|stp")),
    ("special", re.compile(r"rcp|rsq|sqrt|exp2|log2|sin|cos|hexp2|hlog2")),
    ("float", re.compile(r"(add|mul|min|max|cmps|sel|absneg|floor|trunc|rndne)\.f")),
    ("nop", re.compile(r"nop")),
    ("control", re.compile(r"(br|jump|b|bar|getone|shp|end|predt|predf|prede|fence|kill|ret)")),
    ("move", re.compile(r"mov|cov|swz|gat|sct|movmsk|alias")),
    ("integer", re.compile(r"")),
)
"""The classes of instructions by how they begin; the first that fits."""


@dataclass(frozen=True)
class Issue:
    """What one wave issues.

    Attributes:
        instructions: by class.
        loops: of the shader.
        unknown: loops of which the length cannot be told; they count as run once.
    """

    instructions: Counter[str]
    loops: int
    unknown: int


@dataclass(frozen=True)
class _Instruction:
    flags: str
    name: str
    operands: tuple[str, ...]


@dataclass(frozen=True)
class _Loop:
    start: int
    end: int

    def holds(self, position: int) -> bool:
        return self.start <= position <= self.end


@dataclass(frozen=True)
class _Code:
    """The instructions of a shader, where its loops are, and its constants by name."""

    instructions: Sequence[_Instruction]
    loops: Sequence[_Loop]
    constants: dict[str, int]

    def value(self, operand: str) -> int | None:
        """What an operand always is; None of a register."""
        if operand in self.constants:
            return self.constants[operand]
        number = re.fullmatch(r"-?\d+|0x[0-9a-f]+", operand)
        return int(operand, 0) if number else None


def issue_of(assembly: str) -> Issue:
    """Counts a shader's instructions."""
    code = _read(assembly)
    trips = {loop: _trips(code, loop) for loop in code.loops}
    found: Counter[str] = Counter()
    for position, instruction in enumerate(code.instructions):
        times = 1
        for loop, count in trips.items():
            times *= (count or 1) if loop.holds(position) else 1
        found[_class(instruction.name)] += times * (1 + _number(_REPEAT, instruction))
        found["nop"] += times * _number(_DELAY, instruction)
    return Issue(found, len(trips), sum(count is None for count in trips.values()))


def _class(name: str) -> str:
    return next(kind for kind, pattern in CLASSES if pattern.match(name))


def _number(pattern: re.Pattern[str], instruction: _Instruction) -> int:
    return sum(int(n) for n in pattern.findall(instruction.flags))


def _read(assembly: str) -> _Code:
    instructions: list[_Instruction] = []
    labels: dict[int, int] = {}
    for line in assembly.splitlines():
        if line.strip() == "end":
            break
        if line.startswith(_HEAD):
            continue
        if label := _LABEL.match(line):
            labels[int(label[1])] = len(instructions)
        elif (found := _INSTRUCTION.match(line)) and not found[2].startswith(_NOT_CODE):
            operands = tuple(part.strip() for part in found[3].split(","))
            instructions.append(_Instruction(found[1], found[2], operands))
    return _Code(instructions, _loops(instructions, labels), _constants(assembly))


def _constants(assembly: str) -> dict[str, int]:
    return {
        f"c{vector}.{component}": int(value, 16)
        for vector, values in _CONSTANT.findall(assembly)
        for component, value in zip("xyzw", values.split(","), strict=False)
    }


def _loops(instructions: Sequence[_Instruction], labels: dict[int, int]) -> list[_Loop]:
    ends: dict[int, int] = {}
    for position, instruction in enumerate(instructions):
        target = _TARGET.search(",".join(instruction.operands))
        if target and _BRANCHES.fullmatch(instruction.name.split(".")[0]):
            start = labels.get(int(target[1]))
            if start is not None and start <= position:
                ends[start] = max(ends.get(start, position), position)
    return [_Loop(start, end) for start, end in sorted(ends.items())]


def _trips(code: _Code, loop: _Loop) -> int | None:
    """How often a loop runs."""
    inner = [other for other in code.loops if other != loop and loop.holds(other.start)]
    own = [
        p for p in range(loop.start, loop.end + 1) if not any(other.holds(p) for other in inner)
    ]
    for position in reversed(own):
        compared = _comparison(code, loop, position)
        step = _step(code, own, compared[0]) if compared else None
        if compared is None or step is None or step <= 0:
            continue
        counter, limit = compared
        first = _first(code, loop, counter)
        if first is None and inner:
            return 1  # begins at an id: it shares out work, and has one round
        if limit > (first or 0):
            return max(1, -(-(limit - (first or 0)) // step))
    return None


def _comparison(code: _Code, loop: _Loop, position: int) -> tuple[str, int] | None:
    """The register and the constant that end the loop where ``position`` compares them."""
    instruction = code.instructions[position]
    if not instruction.name.startswith("cmps.") or "p0" not in instruction.operands[0]:
        return None
    operands = instruction.operands
    if operands[2] == _TRUE:  # the comparison stands before, in a half register
        before = (code.instructions[p] for p in range(position - 1, loop.start - 1, -1))
        kept = (
            b.operands
            for b in before
            if b.name.startswith("cmps.") and b.operands[0] == operands[1]
        )
        operands = next(kept, operands)
    for counter, limit in ((1, 2), (2, 1)):
        value = code.value(operands[limit])
        if value is not None:
            return operands[counter], value
    return None


def _step(code: _Code, own: Sequence[int], counter: str) -> int | None:
    """What the loop adds to the counter in each round."""
    inside = [code.instructions[p] for p in own]
    sums = [i for i in inside if i.name.startswith("add.") and len(i.operands) == 3]
    copies = {i.operands[:2] for i in inside if i.name.startswith("mov")}
    for instruction in reversed(sums):
        result, *terms = instruction.operands
        if counter in terms and (result == counter or (counter, result) in copies):
            return code.value(terms[1] if terms[0] == counter else terms[0])
    # Compared before the step, the sum in another register.
    steps = (i.operands[1:] for i in sums if i.operands[0] == counter)
    values = (code.value(term) for terms in steps for term in terms)
    return next((value for value in values if value), None)


def _first(code: _Code, loop: _Loop, counter: str) -> int | None:
    """What the counter is before the loop; None if no constant."""
    names = {counter}
    for position in range(loop.start, loop.end + 1):
        instruction = code.instructions[position]
        if instruction.name.startswith("add.") and instruction.operands[0] == counter:
            names |= set(instruction.operands[1:])
    for position in range(loop.start - 1, -1, -1):
        instruction = code.instructions[position]
        if instruction.operands[0] in names:
            moves = instruction.name.startswith("mov") and len(instruction.operands) > 1
            return code.value(instruction.operands[1]) if moves else None
    return 0
