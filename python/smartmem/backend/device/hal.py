"""IREE's devices: opening them and moving arrays to and from them."""

from __future__ import annotations

import ctypes
import functools
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
from iree import runtime as rt
from iree.runtime import _binding
from iree.runtime.dtypes import map_dtype_to_hal_element_type

from smartmem.errors import TargetError, UnsupportedError
from smartmem.parameters import Array

CPU_URI = "local-task"

LOADER_VARIABLE = "IREE_HAL_VULKAN_LIBVULKAN_PATH"
"""Names the Vulkan loader for IREE's runtime. The flag for it can only be added to."""

_MOST_BOUND = 64
"""Cores that IREE binds workers to by default (--task_topology_max_group_count)."""

_MALLOC_VARIABLES = ("MALLOC_", "GLIBC_TUNABLES")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""

_KEPT_BYTES = 2**31 - 1
"""The most that mallopt(3) takes: its argument is an int."""

_OPENING = threading.Lock()
_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@functools.cache
def vm_instance() -> Any:
    """The process's one IREE VM instance."""
    return rt.VmInstance()


@functools.cache
def open_device(uri: str, threads: int | None = None, image_library: Path | None = None) -> Any:
    """An IREE device, opened once per process, number of threads and library.

    ``open_device.cache_clear()`` forgets them: a device that was lost is lost for ever.

    Args:
        uri: ``CPU_URI`` or a ``VulkanDevice.runtime_uri``.
        threads: worker threads of a CPU device; None for one per physical core.
        image_library: SmartMem's Vulkan library, to put before a Vulkan device.

    Raises:
        TargetError: the device does not open.
    """
    try:
        # One at a time: flags and variables that one driver is made with are the process's.
        with _OPENING:
            if uri == CPU_URI:
                return _open_cpu(threads)
            if image_library:
                return _open_with_images(uri, image_library)
            return rt.get_device(uri, cache=False)
    except (RuntimeError, ValueError) as error:
        raise TargetError(f"device {uri} does not open: {short_status(error)}") from error


def _open_cpu(threads: int | None) -> Any:
    _keep_large_blocks()
    # The number of workers is a flag of the process, read when a driver is made; the
    # drivers behind rt.get_device are shared, so this makes one of its own. 0 is a worker
    # bound to each core. A number of workers are bound to none, and two of them that wake up
    # on one core wait for each other's time slice; where they are as many as the cores,
    # nothing is lost by binding them. Fewer are not bound: other processes bind theirs, too.
    count = 0 if threads is None or threads == _free_cores() else threads
    rt.flags.parse_flags(f"--task_topology_group_count={count}")
    try:
        return _binding.create_hal_driver(CPU_URI).create_default_device()
    finally:
        rt.flags.parse_flags("--task_topology_group_count=0")


def _keep_large_blocks() -> None:
    """Lets the C library keep what an inference frees for the next one; glibc only.

    By default it gives blocks of more than 32 MiB back to the kernel, which then fills each page
    with zeros at the first touch: an attention over 1500 tokens took 1.6 times as long. Who sets
    malloc's variables has decided otherwise.
    """
    if any(name.startswith(_MALLOC_VARIABLES) for name in os.environ):
        return
    with suppress(OSError, AttributeError):  # another C library has no such function
        adjust = ctypes.CDLL(None).mallopt
        adjust(_MMAP_THRESHOLD, _KEPT_BYTES)
        adjust(_TRIM_THRESHOLD, _KEPT_BYTES)


def _free_cores() -> int | None:
    """Physical cores that IREE binds workers to, if the process may use all; Linux only."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = os.sched_getaffinity(0)
    nodes = list(Path("/sys/devices/system/node").glob("node[0-9]*"))
    # By default it takes the cores of one memory node, and no more than 64 of them.
    if len(allowed) != os.cpu_count() or len(nodes) > 1 or len(allowed) > _MOST_BOUND:
        return None
    topology = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        return len({Path(topology.format(cpu)).read_text() for cpu in allowed})
    except OSError:  # a sandbox can hide it
        return None


def _open_with_images(uri: str, library: Path) -> Any:
    # The driver behind rt.get_device is shared: this makes one of its own, so that modules
    # without images go on without the library.
    with _environment(LOADER_VARIABLE, str(library)):
        return _binding.create_hal_driver("vulkan").create_device_by_uri(uri)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Sets a variable for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def without_preempting() -> Iterator[None]:
    """Keeps the calling thread from preempting others when it wakes up; Linux only.

    A worker of IREE's CPU device that is done wakes up whoever waits for the result, who then
    spins until the worker has left its call-back. On the worker's own processor that takes a
    whole time slice: half of MobileNetV2's inferences were late by 4 ms.
    """
    if not _is_scheduled_as_usual():
        yield
        return
    priority = os.sched_param(0)
    with suppress(OSError):  # a sandbox can forbid it
        os.sched_setscheduler(0, os.SCHED_BATCH, priority)
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, priority)


def _is_scheduled_as_usual() -> bool:
    """Whether the thread's policy is the usual one of Linux, and not one of the caller's."""
    return hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER


def upload(device: Any, array: Array) -> Any:
    """Copies a contiguous array to the device; returns a buffer view.

    Raises:
        TargetError: the device has not enough memory.
        UnsupportedError: IREE has no such element type.
    """
    element_type = map_dtype_to_hal_element_type(array.dtype)
    if element_type is None:
        raise UnsupportedError(f"IREE has no arrays of {array.dtype}")
    try:
        return device.allocator.allocate_buffer_copy(
            memory_type=rt.MemoryType.DEVICE_LOCAL,
            allowed_usage=rt.BufferUsage.DEFAULT,
            device=device,
            # Python's buffer protocol knows no bfloat16: hand over the bits.
            buffer=array.view(_BITS[array.dtype.itemsize]),
            element_type=element_type,
        )
    except RuntimeError as error:
        raise TargetError(
            f"an input of {array.nbytes} bytes does not go to the device: {short_status(error)}"
        ) from error


def download(device: Any, view: Any, dtype: np.dtype[np.generic]) -> Array:
    """Copies a buffer view's content into a new array of ``dtype``."""
    shape, source = tuple(view.shape), view.get_buffer()
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size == 0:
        return np.empty(shape, dtype)
    mapped = (source if _is_mappable(source) else _staged(device, source)).map()
    content = np.array(mapped.asarray([source.byte_length()], np.dtype(np.uint8)))
    return cast(Array, content[:size].view(dtype).reshape(shape))


def _is_mappable(buffer: Any) -> bool:
    visible, scoped = int(rt.MemoryType.HOST_VISIBLE), int(rt.BufferUsage.MAPPING_SCOPED)
    return bool(buffer.memory_type() & visible) and bool(buffer.allowed_usage() & scoped)


def _staged(device: Any, source: Any) -> Any:
    """A mappable copy of a buffer.

    IREE's own ``to_host`` imports host memory instead where the driver offers that, which
    fails on arrays that are not aligned to the driver's page size.
    """
    staging = device.allocator.allocate_buffer(
        memory_type=int(rt.MemoryType.HOST_LOCAL | rt.MemoryType.DEVICE_VISIBLE),
        allowed_usage=int(rt.BufferUsage.TRANSFER_TARGET | rt.BufferUsage.MAPPING_SCOPED),
        allocation_size=source.byte_length(),
    )
    semaphore = device.create_semaphore(0)
    done = rt.HalFence.create_at(semaphore, 1)
    device.queue_copy(source, staging, rt.HalFence.create_at(semaphore, 0), done)
    done.wait()
    return staging


def is_lost(error: Exception) -> bool:
    """Whether the device behind an IREE status computes nothing any more."""
    return "DEVICE_LOST" in str(error)


def short_status(error: Exception) -> str:
    """The last part of an IREE status: without source file names and stack."""
    text = re.split(r"; (?:while invoking|stack:|\[ *\d+\])|\n", str(error))[0]
    return re.sub(r"\S+\.(?:c|cc|h|cpp):\d+: ", "", text)[:300]
