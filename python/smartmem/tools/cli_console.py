"""What ``smartmem`` says: results on stdout, messages and progress on stderr."""

from __future__ import annotations

import functools
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from smartmem.errors import InvalidInputError, SmartMemError
from smartmem.files import discard_stdout
from smartmem.options import Progress as ProgressCallback
from smartmem.tools.cli_settings import MessageSettings, expand_settings
from smartmem.tools.process import say
from smartmem.tools.signals import exit_status

logger = logging.getLogger(__name__)


def result(text: str) -> None:
    """Prints a result on stdout.

    Raises:
        InvalidInputError: stdout cannot be written, e.g. because its disk is full.
    """
    if sys.stdout is None:
        raise InvalidInputError("standard output is closed; redirect it somewhere")
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_stdout()
        raise InvalidInputError(
            f"cannot write to standard output: {error.strerror}; redirect it elsewhere"
        ) from error


def plain(value: object) -> str:
    """A value of a table as text, a list without brackets."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def note(text: str, messages: MessageSettings) -> None:
    """Prints a message for people on stderr unless they asked for quiet."""
    if not messages.quiet:
        say(text)


@contextmanager
def stage_progress(messages: MessageSettings, title: str) -> Iterator[ProgressCallback | None]:
    """A progress bar over the stages of a compilation; None where none is wanted.

    The bar lives on stderr and goes away at the end.
    """
    wanted = messages.progress
    if wanted is None:
        wanted = sys.stderr.isatty() and not messages.quiet
    if not wanted:
        yield None
        return
    console = Console(stderr=True, force_terminal=True if messages.progress else None)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def show(stage: str, index: int, count: int) -> None:
            bar.update(task, description=f"{title}: {stage}", completed=index, total=count)

        yield show


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Makes a function a command: settings as options, errors as messages.

    The function takes ``messages: MessageSettings`` beside its own parameters.
    """
    return expand_settings(_guarded(function))


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(function)
    def run(*, messages: MessageSettings, **values: Any) -> None:
        _set_up_logging(messages)
        try:
            function(messages=messages, **values)
        except SmartMemError as error:
            if messages.verbose:
                traceback.print_exc()
                say(getattr(error, "log", ""))  # what iree-compile said
            say(f"error: {error}")
            raise SystemExit(1) from None
        except KeyboardInterrupt as end:
            say(str(end) or "interrupted")
            raise SystemExit(exit_status(end)) from None
        except BrokenPipeError:
            discard_stdout()
            raise SystemExit(1) from None

    return run


class _Formatter(logging.Formatter):
    """``warning: text``, like the compiler's own messages."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {super().format(record)}"


def _set_up_logging(messages: MessageSettings) -> None:
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    level = logging.ERROR if messages.quiet else levels[min(messages.verbose, 2)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=level, handlers=[handler])
