"""Store tensors in 16 bits, and compute in f32 or, on GPUs, products in f16.

Rewrites, where f16 or bf16 is asked for, or the model's own precision, which is the attribute
``smartmem.precision`` of the module:
  %w = arith.constant dense_resource : tensor<256x1024xf32>
    ->
  %n = arith.constant dense_resource : tensor<256x1024xf16>
  %w = linalg.generic ins(%n) { arith.extf }

For CPUs, weights that a kernel reads more than twice are widened when the module is loaded: the
file has half of the bytes, and the kernels are those of a model in f32. What it reads once, such
as the weights of a linear layer for one token, is widened in the kernel, which waits for memory:

  %y[n] += %x[k] * %w[k, n]
    ->
  %y[n] += %x[k] * arith.extf %n[k, n]

For GPUs that load 16 bits, kernels read and write them, in f16; what they compute element by
element, and what they sum up, is f32. A number beyond the range of f16 is stored as the largest
one: of an infinity the next sum would make NaN.

  %r = region { linalg.generic {f} : tensor<64x64xf32> }; region { linalg.generic ins(%r) {g} }
    ->
  %r = region { linalg.generic {arith.truncf(f)} : tensor<64x64xf16> }
  region { linalg.generic ins(%r) {g(arith.extf)} }

For GPUs that compute in f16, sums of products of two such tensors add up few products in f16, and
their sums in f32 (``most-products``): a sum in f16 loses digits with each product.

  %y[m, n] += f32(%a[m, k]) * f32(%b[k, n])
    ->
  %p[m, n] += %a[m, k] * %b[k, n]   for each 64 of k, in f16
  %y[m, n] += f32(%p[m, n])

Why so late: the passes before see f32 alone, and so fold and pack weights of a model in half
precision as they do in f32. A factor that a weight takes up is rounded with it, once.

With ``auto`` it runs the model in the reference interpreter, on the inputs of the compilation. What
is beyond the range stays f32, and so does what makes the error larger than ``max_error``, found by
halves: first weights and tensors, then sums of products.

Keeps, with a remark, weights that the narrow type has no numbers for, what the model returns, and
sums that no elementwise operation ends. Keeps small tensors: they cost no bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from torch_mlir import ir

from smartmem.backend.targets.processor import Cpu, Gpu
from smartmem.errors import PassError
from smartmem.interpreter import interpret
from smartmem.parameters import resource_key
from smartmem.passes.analysis.ir.loops import contracts
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.precision.error_budget import Search
from smartmem.passes.analysis.precision.half_products import HalfProducts, half_products
from smartmem.passes.analysis.precision.large_values import (
    entry_arguments,
    large_results,
    largest_error,
)
from smartmem.passes.analysis.precision.narrow_constants import NarrowConstant, narrow_constant
from smartmem.passes.analysis.precision.narrow_results import refuse_result
from smartmem.passes.analysis.precision.precisions import (
    AUTO,
    MODEL,
    NARROW,
    PRECISIONS,
    precision_of,
    refuse_type,
)
from smartmem.passes.analysis.tiling.kernel_tiles import looping_operations
from smartmem.passes.base import REGION, Pass, PassContext, outer_operations
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.builders.convert_elements import convert_elements, with_element
from smartmem.passes.rewrites.precision.multiply_halves import multiply_halves
from smartmem.passes.rewrites.precision.read_narrow import read_narrow
from smartmem.passes.rewrites.precision.write_narrow import write_narrow

_FEW_READS = 2

_SHARE_OF_SUMS = 0.25
"""Of the budget: the interpreter rounds a sum in f16 once, a GPU with each product. Two linear layers
that it finds off by 4.8e-4 are off by 1.9e-3."""

Key = tuple[str, int, int]
"""A constant, a result or a sum of products, by its number: of its region, and within."""

Kept = dict[Key, str]
"""What stays wide, and why."""


@dataclass(frozen=True)
class NarrowTensors(Pass):
    """Gives tensors 16 bits where that pays on the target, and widens what kernels read."""

    argument = "smartmem-narrow-tensors"
    summary = "Store tensors in 16 bits, and widen them where they are read"
    rounds = True

    precision: str = MODEL
    """f16, bf16 or f32; "model" is what the compilation asks for, or else the model's own;
    "auto" is the model's own or f16 where the error allows it."""

    most_products: int = 64
    """Products that are added up in f16 before their sum is added in f32."""

    fewest: int = 1024
    """Elements of a constant of which it pays to store fewer bytes."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Narrows weights, for GPUs also results and products, or says why one stays."""
        precision = self._precision(module, context)
        kept: Kept = {}
        if precision == AUTO:
            precision = precision_of(module) or "f16"
            if refuse_type(precision, context.processor) is None:
                kept = self._by_error(module, precision, context)
        if precision not in NARROW:
            return
        if refusal := refuse_type(precision, context.processor):
            context.remark(self.argument, module, False, refusal.reason)
            return
        self._narrow(module, precision, kept, context)

    def _by_error(self, module: ir.Operation, precision: str, context: PassContext) -> Kept:
        """What stays wide so that the error on the context's inputs is within its budget."""
        if not context.inputs and entry_arguments(module):
            raise PassError(self.argument, "auto runs the model: give it inputs to run on")
        expected = interpret(module, context.inputs, context.parameters)
        large = large_results(module, context.inputs, context.parameters, precision)
        kept: Kept = {("result", *number): reason for number, reason in large.items()}

        def narrowed(wide: Kept) -> tuple[float, list[Key]]:
            clone, trial = module.clone(), context.apart()
            keys = self._narrow(clone, precision, wide, trial)
            actual = interpret(clone, context.inputs, trial.parameters)
            return largest_error(expected, actual), keys

        _, keys = narrowed(kept)
        # Sums of products come last: what is left of the budget is theirs.
        sums = [key for key in keys if key[0] == "product"]
        others = [key for key in keys if key[0] != "product"]

        def error_of(narrow: Sequence[Key]) -> float:
            wide = {key: "" for key in keys if key not in narrow}
            return narrowed({**kept, **wide})[0]

        search = Search(error_of, context.max_error)
        search.accept(others)
        search.budget = context.max_error * _SHARE_OF_SUMS
        search.accept(sums)
        said = (
            f"{precision}: the error is {search.error:.1e}, of at most {context.max_error:.0e}"
        )
        context.remark(self.argument, module, True, f"{said}; {search.trials} runs")
        return {**kept, **search.kept}

    def _narrow(
        self, module: ir.Operation, precision: str, kept: Kept, context: PassContext
    ) -> list[Key]:
        """Narrows what is not ``kept``, in place; the keys of what it narrowed."""
        with module.location:
            done = self._narrow_constants(module, precision, kept, context)
            if isinstance(context.processor, Gpu):
                done += self._narrow_kernels(
                    module, precision, kept, context.processor, context
                )
        return done

    def _narrow_constants(
        self, module: ir.Operation, precision: str, kept: Kept, context: PassContext
    ) -> list[Key]:
        ops = outer_operations(module)
        found = [narrow_constant(op, precision, self.fewest, context.parameters) for op in ops]
        known = [(op, c) for op, c in zip(ops, found, strict=True) if c is not None]
        done: list[Key] = []
        for number, (op, constant) in enumerate(context.each(known, itemgetter(0))):
            key = ("constant", number, 0)
            if reason := _reason(constant, kept.get(key)):
                context.remark(self.argument, op, False, reason)
            elif isinstance(constant, NarrowConstant):
                self._narrow_constant(constant, precision, context)
                done.append(key)
        return done

    def _narrow_kernels(
        self, module: ir.Operation, precision: str, kept: Kept, gpu: Gpu, context: PassContext
    ) -> list[Key]:
        element = ir.Type.parse(precision, module.context)
        regions = [op for op in outer_operations(module) if op.name == REGION]
        done: list[Key] = []
        # In order: products of what was narrowed before, and then a kernel's end can round them.
        for number, region in enumerate(context.each(regions)):
            if gpu.computes_halves:
                done += self._multiply_halves(region, number, kept, context)
            done += self._narrow_results(region, number, element, kept, context)
        return done

    def _multiply_halves(
        self, region: ir.Operation, number: int, kept: Kept, context: PassContext
    ) -> list[Key]:
        sums = [op for op in looping_operations(region) if contracts(op)]
        done: list[Key] = []
        for n, op in enumerate(sums):
            found = half_products(op, self.most_products, context.vectors.lanes)
            key = ("product", number, n)
            if found is not None and (reason := _reason(found, kept.get(key))):
                context.remark(self.argument, op, False, reason)
            elif isinstance(found, HalfProducts):
                context.remark(self.argument, op, True, str(found))
                multiply_halves(found)
                done.append(key)
        return done

    def _narrow_results(
        self,
        region: ir.Operation,
        number: int,
        element: ir.Type,
        kept: Kept,
        context: PassContext,
    ) -> list[Key]:
        *_, end = region.regions[0].blocks[0].operations
        done: list[Key] = []
        for n, result in enumerate(region.results):
            if not str(result.type).endswith("xf32>"):
                continue
            key = ("result", number, n)
            if reason := _reason(refuse_result(result, self.fewest), kept.get(key)):
                context.remark(self.argument, region, False, reason)
                continue
            context.remark(self.argument, region, True, f"{element} between kernels")
            wide = result.type.element_type
            write_narrow(end.operation.operands[n], element)
            result.set_type(with_element(result.type, element))
            read_narrow(result, result, wide)
            done.append(key)
        return done

    def _precision(self, module: ir.Operation, context: PassContext) -> str | None:
        asked = context.precision if self.precision == MODEL else self.precision
        if asked not in (*PRECISIONS, AUTO):
            known = ", ".join((*PRECISIONS, AUTO))
            raise PassError(
                self.argument, f"precision '{asked}' is unknown; use one of {known}"
            )
        return precision_of(module) if asked == MODEL else asked

    def _narrow_constant(
        self, constant: NarrowConstant, precision: str, context: PassContext
    ) -> None:
        op, wide = constant.op, constant.op.results[0]
        in_kernels = not isinstance(context.processor, Cpu) or constant.reads <= _FEW_READS
        where = "in kernels" if in_kernels else "at load"
        reason = f"{precision}, rounding error {constant.error:.1e}, widened {where}"
        context.remark(self.argument, op, True, reason)
        with op.location, ir.InsertionPoint.after(op):
            element = ir.Type.parse(precision)
            key = resource_key(op.attributes["value"]) or "narrow"
            narrow = constant_tensor(
                key, constant.array, with_element(wide.type, element), context.parameters
            )
            widened = narrow if in_kernels else convert_elements(narrow, wide.type.element_type)
        if in_kernels:
            read_narrow(wide, narrow)
        else:
            wide.replace_all_uses_with(widened)
        op.erase()


def _reason(found: object, kept: str | None) -> str | None:
    """Why something stays wide: what was found out of it, or measured."""
    return found.reason if isinstance(found, Refusal) else kept
