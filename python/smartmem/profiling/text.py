"""A profile as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from smartmem.profiling.profile import Profile, ProfiledKernel
from smartmem.report.text import format_seconds, new_table, render_text

ROWS = 30
"""How many kernels the table shows; the JSON has all."""


def render(profile: Profile) -> str:
    """The kernels that take the most time, and totals."""
    return render_text(_parts(profile))


def _parts(profile: Profile) -> Iterator[RenderableType]:
    yield f"{profile.model} for target {profile.target} on {profile.device}"
    table = new_table(
        "Kernels by time",
        "layer",
        "kernel",
        "time",
        "share",
        "GFLOP/s",
        "GB/s",
        "attained",
        "limit",
    )
    ordered = sorted(profile.kernels, key=lambda kernel: -kernel.seconds)
    for kernel in ordered[:ROWS]:
        table.add_row(*_row(kernel, profile.seconds))
    yield table
    yield "\n".join(_lines(profile, ordered[ROWS:]))


def _row(kernel: ProfiledKernel, total: float) -> list[str]:
    layer = kernel.layers[0] if kernel.layers else kernel.kernel
    more = f" +{len(kernel.layers) - 1}" if len(kernel.layers) > 1 else ""
    flops = "" if kernel.flops is None else f"{kernel.flops / kernel.seconds / 1e9:.1f}"
    attained = "" if kernel.attained is None else f"{kernel.attained:.0%}"
    return [
        layer + more,
        "IREE's" if kernel.number is None else str(kernel.number),
        format_seconds(kernel.seconds),
        f"{kernel.seconds / total:.1%}",
        flops,
        f"{kernel.bytes / kernel.seconds / 1e9:.1f}",
        attained,
        kernel.bound or "",
    ]


def _lines(profile: Profile, rest: list[ProfiledKernel]) -> Iterator[str]:
    if rest:
        seconds = format_seconds(sum(kernel.seconds for kernel in rest))
        yield f"{len(rest)} more kernels take {seconds}: see the JSON."
    yield (
        f"{len(profile.kernels)} kernels take {format_seconds(profile.seconds)}; an inference "
        f"without the profiler {format_seconds(profile.inference_s)} (medians of {profile.runs})."
    )
    if profile.rates is not None:
        yield (
            f"Rates measured on the device: {profile.rates.flops / 1e9:.1f} GFLOP/s, "
            f"{profile.rates.bytes / 1e9:.1f} GB/s, "
            f"{profile.rates.launch * 1e6:.1f} us to start a kernel."
        )
