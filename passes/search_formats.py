"""Search the memory formats of the tensors between operations.

Rewrites:
  %t = linalg.generic -> tensor<512x196xf32>, read by linalg.generic
    ->  %t = linalg.generic -> tensor<196x512xf32>, its readers with other indexing maps

  %n = normalization of %x[t, c], written as %n[c, t]
  %h[c, h] += %n[c, t] * %w[h, t]
    ->
  %n[t, c]
  %h[h, c] += %n[t, c] * %w[h, t]        both in vectors along c: nothing is transposed

  %r[0, m, n] += %x[0, m, k] * %w[n, k]  ->  %r[m, n] += %x[m, k] * %w[n, k]

A constant index (a dim of size 1) is dropped: with it, the code generator does not recognize the
contraction.

The strategy ``rule`` leaves the order that elimination chose: producers write what their
consumers prefer (SmartMem, section 3.2.2). ``model`` takes for each tensor the order that an
analytic cost model finds cheapest, ``search`` the orders that are cheapest together. A tuning
file with measured rates of the device replaces the rates of the model.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.errors import PassError
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.layout.format_search import (
    BUDGET,
    Found,
    analytic,
    greedy,
    search,
)
from smartmem.passes.analysis.layout.formats import (
    Graph,
    graph_of,
    hidden_contractions,
    layout_in,
)
from smartmem.passes.analysis.layout.kernel_costs import rates_of, source_of
from smartmem.passes.base import Pass, PassContext, erase_unused
from smartmem.passes.rewrites.layout.lay_out import write_layout
from smartmem.passes.rewrites.loops.squeeze import squeeze

STRATEGIES = ("rule", "model", "search")


@dataclass(frozen=True)
class SearchFormats(Pass):
    """Gives tensors the order of dims in which all kernels together cost least."""

    argument = "smartmem-search-formats"
    summary = "Search the memory formats of the tensors between operations"

    strategy: str = ""
    """rule, model or search; by default what the compilation was asked for."""

    budget: int = BUDGET
    """States that the search keeps at each operation."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Changes the formats in each function; what changes gets a remark."""
        strategy = self.strategy or context.layout
        if strategy not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise PassError(self.argument, f"there is no strategy '{strategy}'; use {known}")
        if self.budget < 1:
            raise PassError(self.argument, f"a budget of {self.budget} states is below 1")
        for function in module.regions[0].blocks[0].operations:
            if function.operation.name != "func.func" or not function.regions[0].blocks:
                continue
            block = function.regions[0].blocks[0]
            for node in hidden_contractions(block):
                context.remark(self.argument, node.op, True, "without dims of size 1")
                squeeze(node)
            erase_unused(module)
            if strategy != "rule":
                self._decide(block, strategy, context)
        erase_unused(module)

    def _decide(self, block: ir.Block, strategy: str, context: PassContext) -> None:
        graph = graph_of(block, context.pairs)
        if not graph.tensors:
            return
        cost = analytic(rates_of(context), context.vectors)
        found = (
            search(graph, cost, self.budget) if strategy == "search" else greedy(graph, cost)
        )
        self._remark(graph, found, context)
        for number, order in found.formats.items():
            value = graph.tensors[number].value
            write_layout(value, layout_in(value, order))

    def _remark(self, graph: Graph, found: Found, context: PassContext) -> None:
        gain = (
            f"predicted {1e3 * found.before:.3g} ms before, {1e3 * found.after:.3g} ms after "
            f"with rates {source_of(context)}"
        )
        for number, order in found.formats.items():
            value = graph.tensors[number].value
            shape = [extent for extent in shape_of(value) if extent > 1]
            old, new = ("x".join(str(shape[d]) for d in o) for o in (range(len(shape)), order))
            reason = f"{old} is stored as {new}; all kernels: {gain}"
            context.remark(self.argument, value.owner.operation, True, reason)
        if not found.formats:
            seen = "no format" if found.is_exhaustive else "no format seen"
            reason = f"{seen} is cheaper for all {len(graph.tensors)} tensors: {gain}"
            context.remark(self.argument, graph.tensors[0].value.owner.operation, False, reason)
