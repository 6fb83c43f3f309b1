"""Files beside the code: where an installed package has them, and where a checkout does."""

from __future__ import annotations

from pathlib import Path

import smartmem


def data_folder(installed: str, checkout: str) -> Path | None:
    """A folder of data files, or None if this installation has none.

    Args:
        installed: its path in the package, as ``[tool.scikit-build.wheel.packages]`` maps it.
        checkout: its path in the source tree, for editable installations.
    """
    root = Path(__file__).resolve().parents[2]
    folders = [*(Path(folder, installed) for folder in smartmem.__path__), root / checkout]
    return next((folder for folder in folders if folder.is_dir()), None)
