"""Configuration of the lit tests: ``lit -q test`` from the root of the repository.

Tools are taken from the folder of the interpreter that runs lit, then from PATH;
SMARTMEM_OPT and FILECHECK in the environment override them. The tools that are in Python run
in a server, which has imported them. Tests named ``test_*.py`` belong to pytest.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import lit.formats

test_root = Path(__file__).parent
sys.path.append(str(test_root / "Inputs"))
import tool_client
import tool_server

config.name = "smartmem"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".py"]
config.test_source_root = str(test_root)
config.test_exec_root = str(test_root.parent / "build" / "test")
config.excludes = [
    "lit.cfg.py",
    "conftest.py",
    "Inputs",
    *(path.name for path in test_root.rglob("test_*.py")),
]


def find_tool(*names, variable=None):
    """The path of the first of ``names`` that is installed, or None."""
    if variable and os.environ.get(variable):
        return os.environ[variable]
    for name in names:
        found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
        if found:
            return found
    return None


def required_tool(*names, variable=None):
    """Like ``find_tool``, but without the tool no test can run."""
    found = find_tool(*names, variable=variable)
    if found is None:
        lit_config.fatal(f"{names[0]} not found; install it with: pip install -e '.[dev]'")
    return found


def has_vulkan_device():
    """Whether IREE's runtime can open a Vulkan device here, a software one included."""
    tool = find_tool("iree-run-module")
    if tool is None:
        return False
    try:
        devices = subprocess.run(
            [tool, "--list_devices=vulkan"],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        return False
    return devices.returncode == 0 and "vulkan://" in devices.stdout


filecheck = required_tool(
    "FileCheck",
    *(f"FileCheck-{n}" for n in range(24, 14, -1)),
    "filecheck",
    variable="FILECHECK",
)
smartmem_opt = required_tool("smartmem-opt", variable="SMARTMEM_OPT")

# lit's own time limit per test needs psutil; a limit on each command needs nothing.
limiter = shutil.which("timeout")
limit = f"{limiter} {tool_server.SECONDS_PER_COMMAND} " if limiter else ""
if "SMARTMEM_OPT" not in os.environ:
    client = f"{sys.executable} -I -S {tool_client.__file__} {tool_server.start()}"
    smartmem_opt = f"{client} smartmem-opt"
    if Path(filecheck).name == "filecheck":  # the one in Python
        filecheck = f"{client} filecheck"
else:
    smartmem_opt = limit + smartmem_opt
# The look-arounds leave paths and flags alone that contain a tool's name.
config.substitutions += [
    (r"(?<![-\w/.])smartmem-opt(?![-\w])", smartmem_opt),
    (r"(?<![-\w/.])FileCheck(?![-\w])", f"{filecheck} --enable-var-scope"),
    ("%PYTHON", limit + sys.executable),
]
scripts = sysconfig.get_path("scripts")
config.environment["PATH"] = os.pathsep.join((scripts, os.environ["PATH"]))

config.available_features |= {
    package for package in ("torch", "onnx") if importlib.util.find_spec(package)
}
if has_vulkan_device():
    config.available_features.add("vulkan")

# The loader of Vulkan and the HOME of caches; lit passes little else on.
for variable in ("HOME", "XDG_RUNTIME_DIR", "VK_DRIVER_FILES", "VK_ICD_FILENAMES"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]
