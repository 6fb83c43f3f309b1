"""Starts Model Explorer with the stages of a compilation, and numbers to colour them by."""

from __future__ import annotations

from pathlib import Path

import model_explorer
from model_explorer.config import ModelExplorerConfig

from smartmem.explorer.node_data import node_data
from smartmem.explorer.stages import read_stages

EXTENSION = "smartmem.explorer"


def configuration(path: Path) -> ModelExplorerConfig:
    """What Model Explorer is to load: the file, and all numbers about it."""
    config = model_explorer.config()
    config.add_model_from_path(str(path))
    for name, data in node_data(read_stages(path)):
        config.add_node_data(name, data)
    return config


def show_stages(path: Path, port: int) -> None:
    """Serves the stages of a file until the user ends it, and opens them in a browser."""
    model_explorer.visualize_from_config(configuration(path), extensions=[EXTENSION], port=port)
