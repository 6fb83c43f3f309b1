"""What tests need of the machine, for all of them."""

from __future__ import annotations

import os
import signal

import hypothesis
import pytest

from smartmem.backend.device.devices import probe_vulkan, usable_devices
from smartmem.backend.device.image_library import find_image_library
from smartmem.options import STRICT_VARIABLE

pytest_plugins = ["imported_models", "small_models"]
"""Fixtures, in ``test/Inputs``."""


def pytest_configure() -> None:
    """Makes it an error that something is given up, in commands that tests start, too.

    And lets an example of a property take its time: how long it takes is the machine's matter.
    What starts the tests in the background can have ignored signals, and children inherit that.
    """
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, handler)
    os.environ[STRICT_VARIABLE] = "1"
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def lenient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes that back in tests of what happens then."""
    if request.node.get_closest_marker("fallback") is not None:
        monkeypatch.delenv(STRICT_VARIABLE)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what is marked to need a Vulkan device, or SmartMem's library, where it is missing."""
    needs_library = item.get_closest_marker("image_library") is not None
    if needs_library and find_image_library() is None:
        pytest.skip("SmartMem's Vulkan library is not built")
    needs_device = needs_library or item.get_closest_marker("vulkan") is not None
    if needs_device and not usable_devices():
        reason = probe_vulkan().reason or "IREE's runtime can use none of this machine"
        pytest.skip(f"no Vulkan device: {reason}")


@pytest.fixture(params=["cpu", pytest.param("vulkan", marks=pytest.mark.vulkan)])
def target(request: pytest.FixtureRequest) -> str:
    """The machine's CPU, and its Vulkan device."""
    return str(request.param)
