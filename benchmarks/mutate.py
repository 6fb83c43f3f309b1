"""Changes one place of the code at a time and looks whether a test fails.

A changed operator, comparison, constant or condition that no test notices is a mutant that
survives: it says what is not tested, or what the code does not need. Each mutant runs the
quick tests of its file (``TESTS``) in a process of its own, first to last, until one fails.

    python benchmarks/mutate.py                            # 150 mutants of all files
    python benchmarks/mutate.py placement --count 40 --seed 7 --minutes 20
"""

from __future__ import annotations

import ast
import copy
import importlib.machinery
import io
import os
import random
import re
import shlex
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

# What tests import beside SmartMem, so that it is imported once.
import filecheck.main
import hypothesis  # noqa: F401
import iree.runtime  # noqa: F401
import numpy  # noqa: F401
import onnx  # noqa: F401
import pytest
import torch_mlir.dialects.linalg  # noqa: F401
from arguments import script_parser

ROOT = Path(__file__).parents[1]
_ELIMINATION = (
    "test/analysis/test_placement.py",
    "eliminate-views*",
    "compose-views*",
    "form-regions-split*",
    "materialize-layouts",
)
_PYTHON = "test/analysis/test_index_map.py", "test/analysis/test_layout_primitives.py"

TESTS: dict[str, Sequence[str]] = {
    "python/smartmem/index_map/*.py": ("compose-views*", "eliminate-views*", *_PYTHON),
    "passes/analysis/elimination/placement.py": _ELIMINATION,
    "passes/analysis/elimination/split_placement.py": _ELIMINATION,
    "passes/analysis/padding/contents.py": ("test/analysis/test_padding_contents.py",),
    "passes/analysis/padding/dim_classes.py": (
        "test/analysis/test_dim_classes.py",
        "test/analysis/test_masked_readers.py",
        "pad-dims*",
        "eliminate-views-paddings*",
    ),
    "passes/analysis/padding/granularities.py": ("pad-dims*",),
    "passes/analysis/padding/masked_readers.py": (
        "test/analysis/test_masked_readers.py",
        "pad-dims*",
    ),
}
"""For the files of a pattern: files of pytest, and patterns of the IR tests of passes."""

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True)
class Mutant:
    """One change of a file.

    Attributes:
        path: the file.
        line: where.
        text: what the statement is there, before and after.
        tree: the changed module.
    """

    path: Path
    line: int
    text: str
    tree: ast.Module


def mutants_of(path: Path) -> list[Mutant]:
    """All that can be changed in a file."""
    tree = ast.parse(path.read_text())
    found = []
    for number, node in enumerate(ast.walk(tree)):
        for change in _changes(node):
            changed = copy.deepcopy(tree)
            place = next(n for k, n in enumerate(ast.walk(changed)) if k == number)
            before = ast.unparse(place)
            change(place)
            line = getattr(node, "lineno", 0)
            found.append(Mutant(path, line, f"{before}  ->  {ast.unparse(place)}", changed))
    return found


def _changes(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in _SWAPS:
        yield lambda n: setattr(n, "op", _SWAPS[type(n.op)]())  # type: ignore[attr-defined]
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
        yield lambda n: n.ops.__setitem__(0, _SWAPS[type(n.ops[0])]())  # type: ignore[attr-defined]
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield lambda n: setattr(n, "value", n.value + 1)  # type: ignore[attr-defined]
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield lambda n: setattr(n, "value", not n.value)  # type: ignore[attr-defined]
    if isinstance(node, ast.If | ast.IfExp):
        yield lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))  # type: ignore[attr-defined]


def is_noticed(mutant: Mutant | None, tests: Sequence[str], limit_s: float = 0) -> bool:
    """Whether a test fails with this change (None: with none), or all take longer."""
    child = os.fork()
    if child == 0:
        signal.alarm(int(limit_s))
        if mutant is not None:
            _replace(mutant)
        os._exit(_first_failure(tests))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def _replace(mutant: Mutant) -> None:
    """Lets this process, which has not imported the file, take the changed module for it."""
    loader = importlib.machinery.SourceFileLoader
    original = loader.get_code
    code = compile(ast.fix_missing_locations(mutant.tree), mutant.path, "exec")

    def get_code(self: importlib.machinery.SourceFileLoader, name: str) -> object:
        return code if Path(self.path) == mutant.path else original(self, name)

    loader.get_code = get_code  # type: ignore[method-assign, assignment]


def _first_failure(tests: Sequence[str]) -> int:
    """0 if all tests pass, which print nothing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        for test in tests:
            if test.endswith(".py"):
                failed = pytest.main(["-x", "-p", "no:cacheprovider", str(ROOT / test)]) != 0
            else:
                files = sorted((ROOT / "test" / "passes").glob(f"{test}.mlir"))
                failed = any(not _passes(line, file) for file in files for line in _runs(file))
            if failed:
                return 1
    except BaseException:  # noqa: BLE001 (a mutant can do anything)
        return 1
    return 0


def _runs(file: Path) -> list[tuple[str, str]]:
    """The arguments of smartmem-opt and of FileCheck in the plain commands of an IR test."""
    text = file.read_text()
    return re.findall(r"RUN: smartmem-opt ([^|>]*)\| FileCheck %s *(.*)", text) + re.findall(
        r"RUN: smartmem-opt ([^|>]*)2>&1 >/dev/null \| FileCheck %s *(.*)", text
    )


def _passes(line: tuple[str, str], file: Path) -> bool:
    from smartmem.tools.opt import run

    folder = str(file.parent)
    ours, theirs = (
        shlex.split(part.replace("%S", folder).replace("%s", str(file))) for part in line
    )
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, "output")
        if "--smartmem-remarks" in ours:
            remarks = io.StringIO()
            with redirect_stderr(remarks):
                run([*ours, "-o", os.devnull])
            output.write_text(remarks.getvalue())
        elif run([*ours, "-o", str(output)]) != 0:
            return False
        checked = ["filecheck", str(file), "--input-file", str(output), *theirs]
        try:
            with redirect_stdout(io.StringIO()):
                filecheck.main.main([*checked, "--enable-var-scope"])
        except SystemExit as end:
            return not end.code
    return True


def main() -> int:
    """Prints each mutant that survives, and how many there are of each file."""
    parser = script_parser(__doc__)
    parser.add_argument("files", nargs="*", help="parts of the names of files; all if none")
    parser.add_argument("--count", type=int, default=150, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=0, help="other seeds, other mutants")
    parser.add_argument("--minutes", type=float, default=60, help="for all of them")
    arguments = parser.parse_args()
    tests = {path: tests for pattern, tests in TESTS.items() for path in ROOT.glob(pattern)}
    chosen = [
        p for p in tests if not arguments.files or any(f in str(p) for f in arguments.files)
    ]
    limits: dict[Sequence[str], float] = {}
    for path in chosen:
        start = time.monotonic()
        if tests[path] not in limits and is_noticed(None, tests[path]):
            print(f"the tests of {path.relative_to(ROOT)} fail without any change")
            return 1
        limits.setdefault(tests[path], 30 + 5 * (time.monotonic() - start))
    mutants = [mutant for path in chosen for mutant in mutants_of(path)]
    random.Random(arguments.seed).shuffle(mutants)
    end = time.monotonic() + 60 * arguments.minutes
    drawn, survived = Counter[str](), Counter[str]()
    for mutant in mutants[: arguments.count]:
        if time.monotonic() > end:
            break
        name = str(mutant.path.relative_to(ROOT))
        own = tests[mutant.path]
        drawn[name] += 1
        if not is_noticed(mutant, own, limits[own]):
            survived[name] += 1
            print(f"{name}:{mutant.line}: {mutant.text}", flush=True)
    for name, count in sorted(drawn.items()):
        print(f"{name}: {survived[name]} of {count} survive")
    print(f"{survived.total()} of {drawn.total()} of {len(mutants)} mutants survive")
    return 0


if __name__ == "__main__":
    sys.exit(main())
