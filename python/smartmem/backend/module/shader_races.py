"""Finds kernels in which a thread reads what another one wrote, with no barrier between.

IREE 3.13 distributes the operations of a kernel to threads one by one. What goes from one
operation to the next lies in workgroup memory or in a buffer, in most pipelines without a
barrier. The kernel is right only if each thread reads what it wrote itself; otherwise its
numbers vary from run to run and from device to device (Vulkan 1.3, "Memory Model").

The check reads the shaders of a compiled module, so that nothing is compiled for it. It
follows the control flow of each shader and compares addresses by value numbers: the function
of thread numbers and loop counters that an address is. A load has a race if the kernel has
stored elsewhere in the same variable since the last barrier, and nothing before the load at its
address: what a loop stores there behind the load is too late for its first iteration. A store
behind a load is the same the other way round. Barriers order the threads of
one workgroup only, so that for buffers, which all workgroups share, the address alone counts:
what of it depends on the thread, since a scan reads what its thread has written a step before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from smartmem.backend.module.spirv import Words, instructions_of, shaders

# Opcodes, storage classes and decorations of the SPIR-V specification.
_ENTRY_POINT, _DECORATE, _BINDING = 15, 71, 33
_VARIABLE, _LOAD, _STORE = 59, 61, 62
_ACCESS_CHAINS = (65, 66)
_COMPOSITE_EXTRACT, _ADD, _CONSTANTS = 81, 128, (41, 42, 43, 46)
_CONTROL_BARRIER = 224
_PHI, _LABEL, _BRANCH, _BRANCH_CONDITIONAL, _SWITCH = 245, 248, 249, 250, 251
_INPUT, _WORKGROUP, _BUFFERS = 1, 4, (2, 12)
_LEAVES = frozenset({54, 55, 57, _LABEL})
"""Function, parameter, call and label: their results are what nothing else is."""

Kind = Literal["read after write", "write after read"]


@dataclass(frozen=True)
class Race:
    """An access that no barrier and no thread of its own orders behind an earlier one.

    Attributes:
        kernel: the shader's entry point.
        memory: ``workgroup memory``, or ``binding N``.
        kind: which access comes second.
    """

    kernel: str
    memory: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.kernel}: {self.kind} of {self.memory} between threads, without barrier"


def shader_races(data: bytes | memoryview) -> list[Race]:
    """The races of all shaders in a ``.vmfb``, each kind once for a kernel and its memory."""
    found = (race for shader in shaders(data) for race in _Shader(shader).races())
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class _Access:
    """A load or store: of which memory, and the value number of its address."""

    memory: str
    address: object
    is_store: bool


@dataclass
class _Block:
    """Accesses in order, None for a barrier, and the labels of the blocks that follow."""

    accesses: list[_Access | None] = field(default_factory=list)
    successors: list[int] = field(default_factory=list)

    @property
    def stores(self) -> set[_Access]:
        """Its stores."""
        return {a for a in self.accesses if a is not None and a.is_store}


class _Shader:
    """One shader: its definitions, then its blocks."""

    def __init__(self, words: Words) -> None:
        self.kernel = ""
        self._definitions: dict[int, tuple[int, list[int]]] = {}
        self._memory: dict[int, str] = {}  # variable -> memory that threads share
        self._inputs: set[int] = set()
        self._numbers: dict[int, object] = {}
        self._code = [(int(i[0]) & 0xFFFF, i[1:].tolist(), i) for i in instructions_of(words)]
        bindings = {
            o[0]: o[2] for op, o, _ in self._code if (op, o[1:2]) == (_DECORATE, [_BINDING])
        }
        for opcode, operands, words_ in self._code:
            if opcode == _ENTRY_POINT:
                self.kernel = words_[3:].tobytes().split(b"\0")[0].decode()
            elif opcode == _VARIABLE:
                self._name(operands[1], operands[2], bindings)
            if len(operands) > 1 and opcode not in (_STORE, _DECORATE, _ENTRY_POINT):
                self._definitions.setdefault(operands[1], (opcode, operands[2:]))

    def _name(self, variable: int, storage: int, bindings: dict[int, int]) -> None:
        if storage == _INPUT:
            self._inputs.add(variable)
        elif storage == _WORKGROUP:
            self._memory[variable] = f"workgroup memory {variable}"
        elif storage in _BUFFERS and variable in bindings:
            self._memory[variable] = f"binding {bindings[variable]}"

    def races(self) -> Iterator[Race]:
        """The races, in the order of the blocks."""
        blocks = self._blocks()
        stores = {store for block in blocks.values() for store in block.stores}
        stored = _stored_before_each(blocks)
        for label, before in _before_each(blocks).items():
            state, own = set(before), set(stored[label])
            for access in blocks[label].accesses:
                if access is not None:
                    own |= {access} if access.is_store else set()
                    if _is_race(access, state, stores if access.is_store else own):
                        kind: Kind = (
                            "write after read" if access.is_store else "read after write"
                        )
                        yield Race(self.kernel, _kind_of(access.memory), kind)
                _step(access, state)

    def _blocks(self) -> dict[int, _Block]:
        blocks: dict[int, _Block] = {}
        block = _Block()
        for opcode, operands, _ in self._code:
            if opcode == _LABEL:
                block = blocks.setdefault(operands[0], _Block())
            elif opcode == _BRANCH:
                block.successors = [operands[0]]
            elif opcode == _BRANCH_CONDITIONAL:
                block.successors = operands[1:3]
            elif opcode == _SWITCH:
                block.successors = [operands[1], *operands[3::2]]
            elif opcode == _CONTROL_BARRIER:
                block.accesses.append(None)
            elif opcode in (_LOAD, _STORE):
                pointer = operands[2] if opcode == _LOAD else operands[0]
                block.accesses += self._access(pointer, opcode == _STORE)
        return blocks

    def _access(self, pointer: int, is_store: bool) -> Iterator[_Access]:
        opcode, operands = self._definitions.get(pointer, (0, []))
        variable = operands[0] if opcode in _ACCESS_CHAINS else pointer
        if variable in self._memory:
            indices = operands[1:] if opcode in _ACCESS_CHAINS else []
            numbers = tuple(self._number(index) for index in indices)
            memory = self._memory[variable]
            own = tuple(map(_of_thread, numbers)) if memory.startswith("binding") else numbers
            yield _Access(memory, own, is_store)

    def _number(self, value: int) -> object:
        """The value number: equal for values that are the same function of the thread."""
        if value not in self._numbers:
            self._numbers[value] = value  # while a loop leads back to it
            self._numbers[value] = self._computed(value)
        return self._numbers[value]

    def _computed(self, value: int) -> object:
        opcode, operands = self._definitions.get(value, (0, []))
        if opcode in _CONSTANTS:
            return (opcode, *operands)
        if opcode == _LOAD:
            return (opcode, operands[0]) if self._base(operands[0]) in self._inputs else value
        if opcode == _PHI:
            return self._counter(value, operands)
        if opcode == _COMPOSITE_EXTRACT:
            return (opcode, self._number(operands[0]), *operands[1:])
        if opcode == 0 or opcode in _LEAVES or opcode == _VARIABLE:
            return value
        return (opcode, *map(self._number, operands))

    def _base(self, pointer: int) -> int:
        opcode, operands = self._definitions.get(pointer, (0, []))
        return operands[0] if opcode in _ACCESS_CHAINS else pointer

    def _counter(self, phi: int, operands: list[int]) -> object:
        """A loop's counter by its first value and its step; any other phi is its own."""
        incoming = operands[::2]
        for first, following in (incoming, incoming[::-1]) if len(incoming) == 2 else ():
            opcode, terms = self._definitions.get(following, (0, []))
            if opcode == _ADD and phi in terms:
                step = terms[1] if terms[0] == phi else terms[0]
                return ("counter", self._number(first), self._number(step))
        return phi


def _of_thread(number: object) -> object:
    """The terms of an address that depend on the thread; those of loops alone are left out."""
    terms = [term for term in _terms(number) if _depends_on_thread(term)]
    return tuple(sorted(terms, key=repr))


def _terms(number: object) -> list[object]:
    if isinstance(number, tuple) and number[0] == _ADD:
        return [term for part in number[1:] for term in _terms(part)]
    return [number]


def _depends_on_thread(number: object) -> bool:
    if not isinstance(number, tuple):
        return True  # of which nothing is known
    return number[0] == _LOAD or (
        number[0] not in _CONSTANTS and any(map(_depends_on_thread, number[1:]))
    )


def _stored_before_each(blocks: dict[int, _Block]) -> dict[int, set[_Access]]:
    """What may have been stored where each block begins, by no way round a loop."""
    stored: dict[int, set[_Access]] = {label: set() for label in blocks}
    places = {label: place for place, label in enumerate(blocks)}
    for label, block in blocks.items():  # in SPIR-V, only loops lead back to earlier blocks
        for successor in block.successors:
            if places[successor] > places[label]:
                stored[successor] |= stored[label] | block.stores
    return stored


def _before_each(blocks: dict[int, _Block]) -> dict[int, set[_Access]]:
    """What may have been accessed since the last barrier where each block begins."""
    states: dict[int, set[_Access]] = {label: set() for label in blocks}
    waiting = list(blocks)
    while waiting:
        label = waiting.pop(0)
        state = set(states[label])
        for access in blocks[label].accesses:
            _step(access, state)
        for successor in blocks[label].successors:
            if not state <= states[successor]:
                states[successor] |= state
                waiting.append(successor)
    return states


def _step(access: _Access | None, state: set[_Access]) -> None:
    if access is None:
        state -= {a for a in state if not a.memory.startswith("binding")}
    else:
        state.add(access)


def _is_race(access: _Access, state: set[_Access], own: set[_Access]) -> bool:
    """Whether an access of the other kind came before, and may have been another thread's.

    Args:
        own: stores of the thread itself: for a load those before it, for a store all.
    """
    others = [
        a
        for a in state
        if (a.memory, a.is_store) == (access.memory, not access.is_store)
        and a.address != access.address
    ]
    if access.is_store:
        return any(replace(load, is_store=True) not in own for load in others)
    return bool(others) and replace(access, is_store=True) not in own


def _kind_of(memory: str) -> str:
    return memory if memory.startswith("binding") else "workgroup memory"
