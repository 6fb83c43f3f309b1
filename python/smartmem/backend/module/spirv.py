"""What the shaders inside a compiled module use of a device.

A target says what the code generator was allowed to use; the shaders say what it did use.
Only the latter can hurt: a float32 model compiled for a target with float16 runs on
devices without float16.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from smartmem.backend.targets.requirements import DeviceRequirements

Words = npt.NDArray[np.uint32]

_MAGIC = 0x07230203
_HEADER_WORDS = 5

# Opcodes, and operands, of the SPIR-V specification.
_OP_EXECUTION_MODE, _LOCAL_SIZE = 16, 17
_OP_CAPABILITY = 17
_OP_TYPE_BOOL, _OP_TYPE_INT, _OP_TYPE_FLOAT = 20, 21, 22
_OP_TYPE_IMAGE = 25
_OP_TYPE_VECTOR, _OP_TYPE_ARRAY, _OP_TYPE_STRUCT, _OP_TYPE_POINTER = 23, 28, 30, 32
_OP_CONSTANT = 43
_OP_FUNCTION = 54
_OP_VARIABLE, _STORAGE_CLASS_IMAGE, _STORAGE_CLASS_WORKGROUP = 59, 0, 4

_CAPABILITY_FEATURES = {
    9: "float16",
    10: "float64",
    11: "int64",
    22: "int16",
    39: "int8",
    4433: "storage16",
    4434: "storage16",
    4448: "storage8",
    4449: "storage8",
    61: "subgroup-basic",
    62: "subgroup-vote",
    63: "subgroup-arithmetic",
    64: "subgroup-ballot",
    65: "subgroup-shuffle",
    66: "subgroup-shuffle-relative",
    67: "subgroup-clustered",
    68: "subgroup-quad",
    5347: "physical-storage-buffer",
    6016: "integer-dot-product",
    6017: "integer-dot-product",
    6018: "integer-dot-product",
    6019: "integer-dot-product",
    6022: "cooperative-matrix",
}


@dataclass(frozen=True)
class ShaderUse:
    """What a module's shaders use, the largest of each.

    Attributes:
        images: whether a buffer is read or written as a texel buffer or image.
    """

    shaders: int
    features: frozenset[str]
    workgroup_size: tuple[int, int, int]
    workgroup_invocations: int
    workgroup_memory_bytes: int
    images: bool


def shader_use(data: bytes | memoryview) -> ShaderUse:
    """Finds the SPIR-V shaders in a ``.vmfb`` and sums up what they use."""
    found = [_use_of(shader) for shader in shaders(data)]
    uses = [use for use in found if use is not None]
    return ShaderUse(
        shaders=len(uses),
        features=frozenset(name for use in uses for name in use.features),
        workgroup_size=_largest(use.workgroup_size for use in uses),
        workgroup_invocations=max((use.workgroup_invocations for use in uses), default=0),
        workgroup_memory_bytes=max((use.workgroup_memory_bytes for use in uses), default=0),
        images=any(use.images for use in uses),
    )


def narrowed(requirements: DeviceRequirements, use: ShaderUse) -> DeviceRequirements:
    """The requirements with what the target allowed replaced by what the shaders use.

    The subgroup size stays: shaders are written for one without saying so.
    """
    return replace(
        requirements,
        max_workgroup_size=use.workgroup_size,
        max_workgroup_invocations=use.workgroup_invocations,
        max_workgroup_memory_bytes=use.workgroup_memory_bytes,
        features=use.features,
    )


def shaders(data: bytes | memoryview) -> Iterator[Words]:
    """The SPIR-V shaders in a ``.vmfb``, in its order."""
    words = np.frombuffer(data, dtype="<u4", count=len(data) // 4)
    # IREE aligns executables, and FlatBuffers the code in them, to at least 4 bytes.
    for start in np.flatnonzero(words == _MAGIC):
        shader = words[start : start + _length(words, int(start))]
        if len(shader):
            yield shader


def _length(words: Words, start: int) -> int:
    """Words of the shader at ``start``, which its FlatBuffer vector stores before it."""
    size = int(words[start - 1]) if start else 0
    version = int(words[start + 1]) if start + 1 < len(words) else 0
    is_shader = (
        version & 0xFF0000FF == 0
        and version >> 16 == 1
        and _HEADER_WORDS < size <= len(words) - start
    )
    return size if is_shader else 0


def instructions_of(shader: Words) -> Iterator[Words]:
    """The instructions of a shader: the length and the opcode in the first word of each."""
    position = _HEADER_WORDS
    while position < len(shader) and (length := int(shader[position]) >> 16):
        yield shader[position : position + length]
        position += length


def _declarations(shader: Words) -> Iterator[Words]:
    """The instructions before the first function, where all that counts here stands."""
    instructions = instructions_of(shader)
    return itertools.takewhile(lambda i: int(i[0]) & 0xFFFF != _OP_FUNCTION, instructions)


def _use_of(shader: Words) -> ShaderUse | None:
    try:
        return _use(list(_declarations(shader)))
    except IndexError:  # an instruction lacks operands: these words are other data
        return None


def _use(instructions: list[Words]) -> ShaderUse:
    capabilities = {int(i[1]) for i in instructions if i[0] & 0xFFFF == _OP_CAPABILITY}
    sizes = [
        (int(i[3]), int(i[4]), int(i[5]))
        for i in instructions
        if i[0] & 0xFFFF == _OP_EXECUTION_MODE and i[2] == _LOCAL_SIZE
    ]
    return ShaderUse(
        shaders=1,
        features=frozenset(
            _CAPABILITY_FEATURES[c] for c in capabilities if c in _CAPABILITY_FEATURES
        ),
        workgroup_size=_largest(sizes),
        workgroup_invocations=max((x * y * z for x, y, z in sizes), default=0),
        workgroup_memory_bytes=_workgroup_memory(instructions),
        images=_has_images(instructions),
    )


def _largest(sizes: Iterable[tuple[int, int, int]]) -> tuple[int, int, int]:
    rows = [*sizes, (0, 0, 0)]
    return (max(r[0] for r in rows), max(r[1] for r in rows), max(r[2] for r in rows))


def _has_images(instructions: list[Words]) -> bool:
    """Whether a variable is an image; IREE's own kernels have none."""
    images = {int(i[1]) for i in instructions if i[0] & 0xFFFF == _OP_TYPE_IMAGE}
    pointers = {
        int(i[1])
        for i in instructions
        if i[0] & 0xFFFF == _OP_TYPE_POINTER and int(i[3]) in images
    }
    return any(
        i[0] & 0xFFFF == _OP_VARIABLE and i[3] == _STORAGE_CLASS_IMAGE and int(i[1]) in pointers
        for i in instructions
    )


def _workgroup_memory(instructions: list[Words]) -> int:
    """Bytes of the variables in workgroup memory."""
    sizes: dict[int, int] = {}  # type -> bytes
    constants: dict[int, int] = {}
    pointees: dict[int, int] = {}  # pointer type -> type
    total = 0
    for instruction in instructions:
        opcode, operands = int(instruction[0]) & 0xFFFF, [int(word) for word in instruction[1:]]
        if opcode in (_OP_TYPE_INT, _OP_TYPE_FLOAT):
            sizes[operands[0]] = operands[1] // 8
        elif opcode == _OP_TYPE_BOOL:
            sizes[operands[0]] = 4
        elif opcode == _OP_TYPE_VECTOR:
            sizes[operands[0]] = sizes.get(operands[1], 0) * operands[2]
        elif opcode == _OP_TYPE_ARRAY:
            sizes[operands[0]] = sizes.get(operands[1], 0) * constants.get(operands[2], 0)
        elif opcode == _OP_TYPE_STRUCT:
            sizes[operands[0]] = sum(sizes.get(member, 0) for member in operands[1:])
        elif opcode == _OP_TYPE_POINTER:
            pointees[operands[0]] = operands[2]
        elif opcode == _OP_CONSTANT:
            constants[operands[1]] = operands[2]
        elif opcode == _OP_VARIABLE and operands[2] == _STORAGE_CLASS_WORKGROUP:
            total += sizes.get(pointees.get(operands[0], 0), 0)
    return total
