"""Checks that no pass changes what whole networks compute, and how long that takes.

The reference interpreter runs each network before and after each pass that changes it, and
once more behind each stage to compare with the original. Nothing is compiled.

    python benchmarks/validate_networks.py swin_tiny_patch4_window7_224 --target cpu adreno
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from arguments import script_parser
from models import MODELS

from smartmem.backend.targets.targets import resolve_target
from smartmem.checking.compare import compare
from smartmem.compiler.faults import Net
from smartmem.compiler.recorder import StageRecorder
from smartmem.compiler.stages import INPUT, IR_STAGES, import_stage, pass_context, run_stages
from smartmem.errors import ValidationError
from smartmem.interpreter import interpret
from smartmem.options import CompileOptions
from smartmem.parameters import Array
from smartmem.runtime.inputs import fit_arrays

TIMEOUT_S = 7200.0


def validate_network(name: str, target_name: str) -> bool:
    """Validates one network for one target, and prints a line for each stage."""
    options = CompileOptions(keep_ir=False, strict=True, validate=True, timeout_s=TIMEOUT_S)
    model, example = MODELS[name].build()
    recorder = StageRecorder(IR_STAGES, options)
    imported = import_stage(model, example, options, recorder)
    arrays = fit_arrays(imported.inputs, [x.numpy() for x in example])
    context = pass_context(imported.parameters, resolve_target(target_name), options)
    assert imported.reference is not None and context.validator is not None
    context.validator.inputs = arrays
    expected = imported.reference(arrays)
    print(f"{name} for {target_name}")
    for before, stage in zip((None, *IR_STAGES), IR_STAGES, strict=False):
        start, seen = time.process_time(), context.validator.validated
        try:
            if before is not None:
                net = Net(options)
                run_stages(imported.module, context, recorder, net, after=before, until=stage)
        except ValidationError as error:
            print(f"  {stage}: {error}", flush=True)
            return False
        results = interpret(imported.module, arrays, imported.parameters)
        changed = context.validator.validated - seen
        _tell(stage, expected, results, changed, time.process_time() - start)
    return True


def _tell(
    stage: str, expected: Sequence[Array], results: Sequence[Array], passes: int, seconds: float
) -> None:
    names = [str(n) for n in range(len(results))]
    error = max(e.error for e in compare(names, expected, results))
    done = "as imported" if stage == INPUT else f"{passes} passes changed it"
    print(f"  {stage}: error {error:.1e}, {done}, {seconds:.1f} s of CPU time", flush=True)


def main() -> int:
    """Runs the check; 1 if a pass changes numbers."""
    parser = script_parser(__doc__)
    parser.add_argument("network", nargs="+", choices=[*MODELS], help="of models.py")
    parser.add_argument("--target", nargs="+", default=["cpu"], help="targets, by name")
    arguments = parser.parse_args()
    pairs = [(name, target) for name in arguments.network for target in arguments.target]
    right = [validate_network(*pair) for pair in pairs]  # all of them, also behind a fault
    return int(not all(right))


if __name__ == "__main__":
    sys.exit(main())
