"""The errors SmartMem raises for faults a user can mend.

Every message says what is wrong, where, and what to do about it. The command line
tools print the message alone and exit with 1; anything that is not a
``SmartMemError`` is a bug and keeps its traceback.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` on one line, with control characters as escapes (``\\n``, ``\\x1b``).

    Names come from models, and must neither forge lines nor reach a terminal as commands.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )


class SmartMemError(Exception):
    """Base of every error that a user, not a maintainer, can mend.

    Its text is printable, whatever names of a model the message holds.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class UnsupportedError(SmartMemError):
    """The model holds an operation, dtype or shape that SmartMem cannot compile."""


class InvalidInputError(SmartMemError):
    """A file, model or array given by the user is missing, unreadable or does not fit."""


class VerificationError(SmartMemError):
    """The IR breaks a rule of its dialect."""


class PassError(SmartMemError):
    """A pass could not be run or failed.

    Attributes:
        argument: the flag of the pass, without dashes.
        diagnostics: MLIR's messages as ``file:line:column: error: text``.
    """

    def __init__(self, argument: str, message: str, diagnostics: tuple[str, ...] = ()) -> None:
        super().__init__(f"pass {argument}: {message}")
        self.argument = argument
        self.diagnostics = diagnostics


class ValidationError(SmartMemError):
    """A pass changes what a model computes.

    Attributes:
        argument: the pass, or the part of a pipeline, without dashes.
    """

    def __init__(self, message: str, argument: str) -> None:
        super().__init__(message)
        self.argument = argument


class InterpreterError(SmartMemError):
    """The program does what has no defined result, as to read outside of a tensor.

    Attributes:
        is_placed: whether the message names the operation.
    """

    is_placed = False

    def at(self, op: str, location: object) -> InterpreterError:
        """The same of an operation, unless it is one of another operation already."""
        if self.is_placed:
            return self
        placed = InterpreterError(f"{op} at {location}: {self}")
        placed.is_placed = True
        return placed


class StrictError(SmartMemError):
    """Something had to be given up for the model to compile, and that is to be an error."""


class TargetError(SmartMemError):
    """An unknown target, no such device, or a module that does not match its device."""


class BackendError(SmartMemError):
    """iree-compile failed, or ran past its time limit."""


class TimeLimitError(BackendError):
    """The import or a pass ran past the time limit."""


class ToolMissingError(SmartMemError):
    """An optional package or program is missing; the message names the install command."""


class AccuracyError(SmartMemError):
    """A compiled model's results are further from the original's than allowed."""
