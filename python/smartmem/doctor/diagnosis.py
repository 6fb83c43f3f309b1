"""Looks at an installation: versions, processor, devices, the Vulkan library, what is missing."""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import smartmem
from smartmem.backend.device.devices import probe_vulkan
from smartmem.backend.device.image_library import find_image_library, require_image_library
from smartmem.backend.iree_compile.tool import iree_compile_path
from smartmem.backend.targets.cpu import host_cpu
from smartmem.errors import SmartMemError

NEEDED = {
    "torch-mlir": "torch_mlir.ir",
    "iree-base-compiler": "iree.compiler",
    "iree-base-runtime": "iree.runtime",
    "numpy": "numpy",
    "ml-dtypes": "ml_dtypes",
    "typer": "typer",
    "rich": "rich",
    "vulkan": None,  # loads the Vulkan loader, which is looked for on its own
}
"""Distributions that every command needs, and the module that shows that they load."""

OPTIONAL = {
    "torch": "PyTorch models: pip install 'smartmem[torch]'",
    "onnx": "ONNX models: pip install 'smartmem[onnx]'",
    "onnxruntime": "checks of ONNX models: pip install 'smartmem[onnx]'",
}
"""Distributions that some models need, and what for."""

_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        value: what was found.
        missing: what does not work without it and how to get it; empty where all is well.
        is_fatal: nothing compiles without it.
    """

    what: str
    value: str
    missing: str = ""
    is_fatal: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """All of them, by section."""

    sections: dict[str, tuple[Finding, ...]]

    @property
    def findings(self) -> list[Finding]:
        """Those of all sections, in order."""
        return [finding for found in self.sections.values() for finding in found]

    @property
    def works(self) -> bool:
        """Whether models compile here."""
        return not any(finding.is_fatal for finding in self.findings)


def diagnose() -> Diagnosis:
    """Looks at everything; what fails is a finding, never an exception."""
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "Versions": _versions,
        "Compiler": _compiler,
        "Machine": _machine,
        "Vulkan": _vulkan,
    }
    return Diagnosis({name: tuple(look()) for name, look in looks.items()})


def _versions() -> Iterator[Finding]:
    yield Finding("smartmem", smartmem.__version__)
    yield Finding("Python", f"{platform.python_version()} ({sys.executable})")
    pinned = _pins()
    for name, module in NEEDED.items():
        yield _needed(name, module, pinned.get(name))
    for name, use in OPTIONAL.items():
        found = _version(name)
        yield Finding(name, found or "not installed", "" if found else use)


def _needed(name: str, module: str | None, pin: str | None) -> Finding:
    found = _version(name)
    wanted = f"pip install '{name}{'' if pin is None else '==' + pin}'"
    if found is None:
        return Finding(name, "not installed", wanted, is_fatal=module is not None)
    if module is not None:
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            return Finding(name, f"{found}, does not load: {error}", wanted, is_fatal=True)
    if pin is not None and found != pin:
        return Finding(name, found, f"tested with {pin} alone: {wanted}")
    return Finding(name, found)


def _pins() -> dict[str, str]:
    """The versions that SmartMem asks for exactly."""
    try:
        pairs = [r.split(";")[0].partition("==") for r in requires("smartmem") or ()]
    except PackageNotFoundError:  # a source tree that was never installed
        return {}
    return {name.strip(): pin.strip() for name, _, pin in pairs if pin}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _compiler() -> Iterator[Finding]:
    wanted = (
        f"pip install --force-reinstall iree-base-compiler=={_pins().get('iree-base-compiler')}"
    )
    try:
        path = iree_compile_path()
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (SmartMemError, OSError, subprocess.TimeoutExpired) as error:
        yield Finding("iree-compile", str(error), wanted, is_fatal=True)
        return
    if done.returncode:
        said = f"{path} ends with {done.returncode}: {done.stderr.strip()[-200:]}"
        yield Finding("iree-compile", said, wanted, is_fatal=True)
        return
    lines = [line.strip() for line in done.stdout.splitlines() if "version" in line.lower()]
    yield Finding("iree-compile", ", ".join(dict.fromkeys(lines)) or "runs")


def _machine() -> Iterator[Finding]:
    yield Finding("system", f"{platform.system()} {platform.release()}, {_distribution()}")
    yield Finding("C library", " ".join(platform.libc_ver()).strip() or "unknown")
    host = host_cpu()
    features = sorted(host.features or ())
    vectors = [f for f in features if f in ("avx", "avx2", "fma", "avx512f", "neon", "sve")]
    told = ", ".join(vectors) or (
        "no vectors that are known" if features else "unknown features"
    )
    yield Finding("CPU", f"{host.architecture}, {told}")
    yield Finding("processors", f"{len(_free_processors())} of {os.cpu_count()}")
    yield Finding("memory", _memory())


def _free_processors() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))  # macOS tells no affinity


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:  # not Linux
        return platform.platform()


def _memory() -> str:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{pages * size / 2**30:.1f} GiB"


def _vulkan() -> Iterator[Finding]:
    probe = probe_vulkan()
    if not probe.devices:
        yield Finding("devices", "none", f"running on Vulkan: {probe.reason}")
    for device in probe.devices:
        driver = f"{device.type}, driver {device.driver}"
        if reason := device.unusable_because:
            wanted = f"running on it: {reason}; update its driver"
            yield Finding(f"device {device.index}", f"{device}, {driver}", wanted)
        else:
            yield Finding(f"device {device.index}", f"{device}, {driver}")
    yield _library()


def _library() -> Finding:
    name = "SmartMem's Vulkan library"
    if find_image_library() is None:
        return Finding(
            name,
            "not built",
            "reading through textures on a device here: install a C++ compiler and the Vulkan "
            "headers (Debian, Ubuntu: apt-get install g++ libvulkan-dev), then SmartMem again",
        )
    try:
        return Finding(name, str(require_image_library("a module")))
    except SmartMemError as error:
        return Finding(name, "does not load", str(error))


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as plain data."""
    sections = {
        name: {finding.what: finding.value for finding in found}
        for name, found in diagnosis.sections.items()
    }
    missing = {f.what: f.missing for f in diagnosis.findings if f.missing}
    return {"works": diagnosis.works, **sections, "missing": missing}


def to_markdown(diagnosis: Diagnosis) -> str:
    """The diagnosis as Markdown, for a bug report; without the names of people and hosts."""
    home = os.path.expanduser("~")
    lines = []
    for name, found in diagnosis.sections.items():
        lines += [f"### {name}", "", *(f"- {f.what}: {f.value}" for f in found), ""]
    missing = [f"- {f.what}: {f.missing}" for f in diagnosis.findings if f.missing]
    lines += ["### Missing", "", *(missing or ["- nothing"])]
    text = "\n".join(lines)
    return text.replace(home, "~") if home not in ("", "/", "~") else text
