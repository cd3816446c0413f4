"""A run on the disk: settings and class table as JSON, weights as safetensors. Nothing read here can execute anything.

RUN/config.json        every setting
RUN/classes.json       the class table, as COCO panoptic categories
RUN/model.safetensors  weights, as of the newest checkpoint while it trains
RUN/checkpoints/       step-NNNNNNNN.safetensors: weights, momentum and step, to go on from; the newest few
RUN/log.jsonl          one line for each step
RUN/metrics.json       what `evaluate` measured
RUN/best.safetensors   with train.evaluate_every: the weights that scored best so far
RUN/panels/            with train.panels_every: drawings of held-out images
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from unipan.addresses import here
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.errors import InputError
from unipan.files import make_folder, replace_atomically, write_json
from unipan.hub import fetched, is_hubs
from unipan.settings_file import load_config, save_config
from unipan.tensor_file import TensorFile, read_facts, read_tensor_file, write_tensor_file

WANTED = ["config.json", "classes.json", "model.safetensors", "metrics.json"]
"""Of a run on the Hub."""


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps what."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def classes(self) -> Path:
        return self.path / "classes.json"

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def model_step(self) -> int | None:
        """The step that the model of an unfinished run is of; None where the run is finished, or has no model yet."""
        step = read_facts(self.model).get("step") if self.model.is_file() else None
        return int(step) if step else None

    @property
    def is_finished(self) -> bool:
        """Whether the training came to its end."""
        return self.model.is_file() and self.model_step is None

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:08}.safetensors"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def panels(self) -> Path:
        return self.path / "panels"


@dataclass(frozen=True)
class TrainingState:
    """What a run needs to go on: everything else follows from the settings and the step."""

    step: int
    """Optimiser steps done."""
    weights: dict[str, Tensor]
    momentum: dict[str, Tensor]
    """Momentum buffer of each parameter, by its name; Adam's mean gradient."""
    squares: dict[str, Tensor] = field(default_factory=dict)
    """Adam's mean squared gradient of each parameter, by its name; empty for SGD."""
    updates: dict[str, Tensor] = field(default_factory=dict)
    """How often Adam has changed each parameter, by its name: those that a step does not use stay behind; empty for SGD."""
    scaler: dict[str, Tensor] = field(default_factory=dict)
    """State of fp16's loss scaling, by name; empty in other precisions."""
    ema: dict[str, Tensor] = field(default_factory=dict)
    """Moving average of the trained weights, by name; empty where none is kept."""


PARTS = tuple(entry.name for entry in fields(TrainingState) if entry.name != "step")
"""Every further field of a training state is a part: tensors by name."""


def open_run(run: str | Path) -> tuple[RunFolder, Config, ClassTable]:
    """Find a run by its folder, or by OWNER/NAME on the Hugging Face Hub, and read its settings and class table.

    Where a folder OWNER is here, a path is meant; `hf:OWNER/NAME` is the Hub's in any case.
    """
    if not isinstance(run, (str, os.PathLike)):
        raise InputError(f"a run came as a {type(run).__name__}; name its folder, or OWNER/NAME on the Hugging Face Hub.")
    if not str(run):
        raise InputError("the name of the run is empty; name its folder, or OWNER/NAME on the Hugging Face Hub.")
    folder = RunFolder(fetched(str(run), WANTED) if is_hubs(run) else here(run))
    if folder.path.is_file():
        runs = [f", {above}" for above in folder.path.absolute().parents if RunFolder(above).config.is_file()]
        raise InputError(f"{run} is a file; name the run's folder{''.join(runs[:1])}.")
    if missing := " and no ".join(path.name for path in (folder.config, folder.classes) if not path.is_file()):
        raise InputError(f"{run} is no run: it has no {missing}. Name a folder that `unipan train` or `unipan demo` wrote.")
    return folder, load_config(folder.config), read_classes(folder.classes)


def read_metrics(folder: RunFolder) -> dict[str, Any] | None:
    """What `evaluate` measured of a run; None where it has not, or the file can't be read."""
    try:
        content = json.loads(folder.metrics.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_settings(folder: RunFolder, config: Config, classes: ClassTable) -> None:
    """Start a run's folder."""
    make_folder(folder.path)
    replace_atomically(folder.config, lambda temporary: save_config(config, temporary))
    write_json(folder.classes, classes.to_categories())


def read_classes(path: Path) -> ClassTable:
    """Read the class table that `write_settings` wrote."""
    try:
        return ClassTable.from_categories(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"cannot read the class table in {path}: {error}") from error


def save_model(path: Path, network: nn.Module) -> None:
    """Write the weights alone."""
    write_tensor_file(path, TensorFile("model", dict(network.state_dict()), {}))


def load_model(path: Path, network: nn.Module) -> None:
    """Fill `network`, of the run's own settings, with the run's weights."""
    fill(network, read_tensor_file(path, "model").tensors, path)


def fill(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights by name; every name and shape must agree. `path` is for the message."""
    own = network.state_dict()
    wrong = [name for name in own if name not in weights or not alike(weights[name], own[name])]
    wrong += [name for name in weights if name not in own]
    if wrong:
        raise InputError(
            f"{path} does not fit this network: {len(wrong)} weights are missing, unknown or of another shape, "
            f"first {', '.join(wrong[:3])}. The settings or the class table must be those of the run that wrote it."
        )
    network.load_state_dict(weights)


def alike(tensor: Tensor, own: Tensor) -> bool:
    """Whether the one can take the other's place: one shape, and both of floating-point numbers or both not."""
    return tensor.shape == own.shape and tensor.is_floating_point() == own.is_floating_point()


def save_training(path: Path, state: TrainingState) -> None:
    """Write a point to go on from: one file, so that it is whole or not there."""
    parts = {name: getattr(state, name) for name in PARTS}
    tensors = {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
    write_tensor_file(path, TensorFile("training", tensors, {"step": str(state.step)}))


def load_training(path: Path) -> TrainingState:
    """Read what `save_training` wrote."""
    content = read_tensor_file(path, "training")
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for full_name, tensor in content.tensors.items():
        part, _, name = full_name.partition(".")
        if part not in parts:
            raise InputError(f"{path} holds {full_name}, which is part of no training state: {', '.join(PARTS)}.")
        parts[part][name] = tensor
    if not content.facts.get("step", "").isdecimal():
        raise InputError(f"{path} does not say after which step it was written.")
    return TrainingState(int(content.facts["step"]), **parts)
