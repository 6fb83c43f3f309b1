"""Remembers, while pipelines run, what was computed of objects of MLIR that never change.

Attributes, types and affine maps are immutable and unique in their context: they hash and
compare by their address, which nothing else gets while they are kept. An operation or a value
is no such key: passes change them.

What is kept would keep the context alive, with all parameters in it. So it is dropped at the
end of each compilation's passes, or of a pipeline alone; outside of both nothing is kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_UNKNOWN = object()  # a result can be None

_found: ContextVar[dict[tuple[object, ...], Any] | None] = ContextVar("found", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Within it, in this thread, functions with ``remembered`` compute nothing twice."""
    if _found.get() is not None:
        yield
        return
    token = _found.set({})
    try:
        yield
    finally:
        _found.reset(token)


def remembered(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Lets a function of attributes, types, affine maps and Python values be remembered.

    Its results must be immutable, and its arguments positional.
    """

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        found = _found.get()
        if found is None or kwargs:
            return function(*args, **kwargs)
        key = (function, *args)
        result: Result = found.get(key, _UNKNOWN)
        if result is _UNKNOWN:
            result = found[key] = function(*args, **kwargs)
        return result

    return call
