"""Printing the IR to stderr around passes, while a pipeline runs.

MLIR's own printing is around all passes or none. Around single ones it is a pass of its own
that prints, before or behind them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from torch_mlir import ir
from torch_mlir.passmanager import ExternalPass, PassManager

from smartmem.mlir.pipeline_text import PipelineElement, apart, pass_names
from smartmem.passes import Pass


@dataclass(frozen=True)
class PrintOptions:
    """When and how the IR is printed to stderr while a pipeline runs.

    Attributes:
        before_all: before each pass.
        after_all: after each pass.
        after_change: after each pass that changed the IR.
        after_failure: after a pass that failed.
        before: before the passes of these names; the whole module.
        after: after the passes of these names; the whole module.
        module_scope: the whole module even when a pass works on one function.
        tree_dir: a folder that receives one file per dump instead of stderr.
        elide_elements: print "..." for constants with more elements than this.
        elide_resources: the same for resources with more characters than this.
        debug_info: print locations.
        generic: print the generic form of operations.
    """

    before_all: bool = False
    after_all: bool = False
    after_change: bool = False
    after_failure: bool = False
    before: Collection[str] = ()
    after: Collection[str] = ()
    module_scope: bool = False
    tree_dir: str | None = None
    elide_elements: int | None = None
    elide_resources: int | None = None
    debug_info: bool = False
    generic: bool = False

    def enable(self, manager: PassManager) -> None:
        """Makes MLIR print around all passes of ``manager``, where that is asked for."""
        after = self.after_all or self.after_change or self.after_failure
        if not (after or self.before_all):
            return
        manager.enable_ir_printing(
            print_before_all=self.before_all,
            print_after_all=after,
            print_module_scope=self.module_scope,
            print_after_change=self.after_change,
            print_after_failure=self.after_failure,
            large_elements_limit=self.elide_elements,
            large_resource_limit=self.elide_resources,
            enable_debug_info=self.debug_info,
            print_generic_op_form=self.generic,
            tree_printing_dir_path=self.tree_dir,
        )

    def apart(self, elements: Sequence[PipelineElement]) -> list[PipelineElement]:
        """The same passes, each an element of its own if one is to be printed around."""
        if not (self.before or self.after):
            return [*elements]
        return [
            part
            for element in elements
            for part in ([element] if isinstance(element, Pass) else apart(element))
        ]

    def before_pass(self, manager: PassManager, element: PipelineElement) -> None:
        """Adds the printing before an element of ``apart``, where that is asked for."""
        self._around("Before", self.before, manager, element)

    def after_pass(self, manager: PassManager, element: PipelineElement) -> None:
        """Adds the printing behind an element of ``apart``, where that is asked for."""
        self._around("After", self.after, manager, element)

    def _around(
        self, when: str, wanted: Collection[str], manager: PassManager, element: PipelineElement
    ) -> None:
        for name in _names(element):
            if name in wanted:
                manager.add(self._printer(f"{when} {name}"), name="PrintIR")

    def _printer(self, where: str) -> Callable[[ir.Operation, ExternalPass], None]:
        def show(operation: ir.Operation, external: ExternalPass) -> None:
            text = operation.get_asm(
                large_elements_limit=self.elide_elements,
                large_resource_limit=self.elide_resources,
                enable_debug_info=self.debug_info,
                print_generic_op_form=self.generic,
            )
            heading = f"// -----// IR Dump {where} //----- //"
            print(f"{heading}\n{text}", file=sys.stderr, flush=True)

        return show


def _names(element: PipelineElement) -> Iterator[str]:
    if isinstance(element, Pass):
        yield element.argument
    else:
        yield from pass_names(element)
