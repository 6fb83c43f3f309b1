"""A profile as a roofline plot; needs matplotlib."""

from __future__ import annotations

import io
from pathlib import Path

from smartmem.errors import InvalidInputError, ToolMissingError
from smartmem.files import write_file
from smartmem.profiling.profile import DeviceRates, Profile, ProfiledKernel

SUFFIXES = (".svg", ".png", ".pdf")
_NAMED = 5  # kernels that take the most time have their layer beside them


def save_roofline(profile: Profile, path: Path) -> None:
    """Plots FLOPs per second over FLOPs per byte, below what the device can do.

    Raises:
        ToolMissingError: matplotlib is not installed.
        InvalidInputError: nothing can be plotted, or the path cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ToolMissingError("plots need matplotlib: pip install 'smartmem[plot]'") from error
    kernels = [kernel for kernel in profile.kernels if kernel.flops and kernel.bytes]
    if profile.rates is None or not kernels:
        raise InvalidInputError(
            "there is no roofline without the device's rates and kernels of known FLOPs"
        )
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    _roof(axes, kernels, profile.rates)
    _points(axes, kernels, profile.seconds)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="FLOPs per byte",
        ylabel="GFLOP/s",
        title=f"{profile.model} on {profile.device}",
    )
    axes.grid(True, which="both", alpha=0.2)
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:])
    write_file(path, lambda out: out.write(content.getvalue()))


def _intensity(kernel: ProfiledKernel) -> float:
    return (kernel.flops or 0) / kernel.bytes


def _roof(axes: object, kernels: list[ProfiledKernel], rates: DeviceRates) -> None:
    ridge = rates.flops / rates.bytes
    places = sorted([*map(_intensity, kernels), ridge])
    places = [places[0] / 2, *places, places[-1] * 2]
    roof = [min(rates.flops, place * rates.bytes) / 1e9 for place in places]
    axes.plot(places, roof, color="black", label="measured rates")  # type: ignore[attr-defined]


def _points(axes: object, kernels: list[ProfiledKernel], total: float) -> None:
    for bound, colour in (("compute", "C0"), ("memory", "C1"), ("launch", "C7")):
        found = [kernel for kernel in kernels if kernel.bound == bound]
        axes.scatter(  # type: ignore[attr-defined]
            [_intensity(k) for k in found],
            [_rate(k) for k in found],
            s=[20 + 1500 * k.seconds / total for k in found],
            color=colour,
            alpha=0.6,
            label=f"limited by {bound}",
        )
    for kernel in sorted(kernels, key=lambda k: -k.seconds)[:_NAMED]:
        name = kernel.layers[0] if kernel.layers else kernel.kernel
        axes.annotate(name, (_intensity(kernel), _rate(kernel)), fontsize=7)  # type: ignore[attr-defined]
    axes.legend(title="area: share of the time", markerscale=0.5)  # type: ignore[attr-defined]


def _rate(kernel: ProfiledKernel) -> float:
    return (kernel.flops or 0) / kernel.seconds / 1e9
