"""Reproducers: IR together with the pipeline that was, or is to be, run on it.

The format is MLIR's own, so that ``mlir-opt --run-reproducer`` reads those of upstream
passes and ``smartmem-opt --run-reproducer`` reads those of ``mlir-opt``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch_mlir import ir

from smartmem.errors import InvalidInputError
from smartmem.mlir.pipelines import PipelineElement, format_pipeline
from smartmem.tools.opt_arguments import PassArguments
from smartmem.tools.opt_source import Source

_SECTION = re.compile(
    r'\bmlir_reproducer\s*:\s*\{[^}"]*?\bpipeline\s*:\s*"((?:[^"\\]|\\.)*)"(?P<rest>[^}]*)\}'
)


def reproducer(
    operation: ir.Operation, elements: Sequence[PipelineElement], verify_each: bool
) -> str:
    """The text of ``operation`` with ``elements`` in a section at its end."""
    pipeline = format_pipeline(elements, operation.name)
    escaped = pipeline.replace("\\", "\\\\").replace('"', '\\"')
    return f"""{operation.get_asm(enable_debug_info=True)}
{{-#
  external_resources: {{
    mlir_reproducer: {{
      pipeline: "{escaped}",
      disable_threading: true,
      verify_each: {str(verify_each).lower()}
    }}
  }}
#-}}
"""


def read_reproducer(source: Source) -> tuple[PassArguments, bool]:
    """The passes of a reproducer, and whether to verify the IR after each.

    Raises:
        InvalidInputError: ``source`` holds no reproducer.
    """
    section = _SECTION.search(source.content) if isinstance(source.content, str) else None
    if section is None:
        raise InvalidInputError(
            f"{source.name} holds no reproducer; write one with --mlir-generate-reproducer"
        )
    pipeline = re.sub(r"\\(.)", r"\1", section[1])
    verify_each = re.search(r"\bverify_each\s*:\s*false\b", section["rest"]) is None
    return PassArguments(pipeline, (), ()), verify_each
