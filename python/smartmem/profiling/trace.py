"""A profile as a trace: for Perfetto (ui.perfetto.dev) and chrome://tracing."""

from __future__ import annotations

from typing import Any

from smartmem.profiling.profile import Profile


def chrome_trace(profile: Profile) -> dict[str, Any]:
    """The fastest inference in the Trace Event Format; times in microseconds."""
    begin = min((event.start for event in profile.fastest), default=0.0)
    events: list[dict[str, Any]] = [
        {
            "ph": "M",
            "pid": 0,
            "tid": 0,
            "name": "process_name",
            "args": {"name": profile.device},
        },
        {"ph": "M", "pid": 0, "tid": 0, "name": "thread_name", "args": {"name": "kernels"}},
    ]
    for kernel, event in zip(profile.kernels, profile.fastest, strict=True):
        told = {
            "kernel": kernel.kernel,
            "group": kernel.number,
            "layers": [*kernel.layers],
            "result": "x".join([*map(str, kernel.shape), kernel.dtype]),
            "bytes": kernel.bytes,
            "flops": kernel.flops,
            "attained": kernel.attained,
            "bound": kernel.bound,
        }
        events.append(
            {
                "ph": "X",
                "pid": 0,
                "tid": 0,
                "cat": "kernel",
                "name": kernel.layers[0] if kernel.layers else kernel.kernel,
                "ts": (event.start - begin) * 1e6,
                "dur": event.seconds * 1e6,
                "args": told,
            }
        )
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"model": profile.model},
    }
