"""A run on the disk: settings and class table as JSON, weights as safetensors. Nothing read here can execute anything.

RUN/config.json           every setting
RUN/classes.json          the class table, as COCO panoptic categories
RUN/model.safetensors     weights
RUN/training.safetensors  weights, momentum and step, to go on from
RUN/log.jsonl             one line for each step
RUN/metrics.json          what `evaluate` measured
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from unipan.classes import ClassTable
from unipan.config import Config, load_config, save_config
from unipan.errors import InputError

HUB_PREFIX = "hf:"


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
    def training(self) -> Path:
        return self.path / "training.safetensors"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"


@dataclass(frozen=True)
class TrainingState:
    """What a run needs to go on: everything else follows from the settings and the step."""

    step: int
    """Optimiser steps done."""
    weights: dict[str, Tensor]
    momentum: dict[str, Tensor]
    """Momentum buffer of each parameter, by its name."""
    scaler: dict[str, Tensor] = field(default_factory=dict)
    """State of fp16's loss scaling, by name; empty in other precisions."""


def open_run(run: str | Path) -> tuple[RunFolder, Config, ClassTable]:
    """Find a run by its folder, or by `hf:OWNER/NAME` on the Hugging Face Hub, and read its settings and class table."""
    folder = RunFolder(_download(str(run)) if str(run).startswith(HUB_PREFIX) else Path(run))
    missing = [path.name for path in (folder.config, folder.classes) if not path.is_file()]
    if missing:
        raise InputError(
            f"{run} is no run: it has no {' and no '.join(missing)}. Name a folder that `unipan train` or `unipan demo` wrote."
        )
    return folder, load_config(folder.config), read_classes(folder.classes)


def _download(run: str) -> Path:
    from huggingface_hub import snapshot_download

    wanted = ["config.json", "classes.json", "model.safetensors"]
    try:
        return Path(snapshot_download(run.removeprefix(HUB_PREFIX), allow_patterns=wanted))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot fetch {run} from the Hugging Face Hub: {error}") from error


def make_folder(path: Path) -> None:
    """Make a folder for results, unless it is there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {path}: {error.strerror or error}. Name another --out.") from error


def write_settings(folder: RunFolder, config: Config, classes: ClassTable) -> None:
    """Start a run's folder."""
    make_folder(folder.path)
    replace_atomically(folder.config, lambda temporary: save_config(config, temporary))
    write_json(folder.classes, classes.to_categories())


def read_classes(path: Path) -> ClassTable:
    """Read the class table that `write_settings` wrote."""
    try:
        return ClassTable.from_categories(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"cannot read the class table in {path}: {error}") from error


def save_model(path: Path, network: nn.Module) -> None:
    """Write the weights alone."""
    _save(path, dict(network.state_dict()), {"kind": "model"})


def load_model(path: Path, network: nn.Module) -> None:
    """Fill `network`, of the run's own settings, with the run's weights."""
    weights, _ = _load(path, "model")
    fill(network, weights, path)


def fill(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights by name; every name and shape must agree. `path` is for the message."""
    own = network.state_dict()
    wrong = [name for name in own if name not in weights or weights[name].shape != own[name].shape]
    wrong += [name for name in weights if name not in own]
    if wrong:
        raise InputError(
            f"{path} does not fit this network: {len(wrong)} weights are missing, unknown or of another shape, "
            f"first {', '.join(wrong[:3])}. The settings or the class table must be those of the run that wrote it."
        )
    network.load_state_dict(weights)


def save_training(path: Path, state: TrainingState) -> None:
    """Write a point to go on from: one file, so that it is whole or not there."""
    tensors = {f"weights.{name}": tensor for name, tensor in state.weights.items()}
    tensors |= {f"momentum.{name}": tensor for name, tensor in state.momentum.items()}
    tensors |= {f"scaler.{name}": tensor for name, tensor in state.scaler.items()}
    _save(path, tensors, {"kind": "training", "step": str(state.step)})


def load_training(path: Path) -> TrainingState:
    """Read what `save_training` wrote."""
    tensors, metadata = _load(path, "training")

    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    return TrainingState(int(metadata["step"]), part("weights."), part("momentum."), part("scaler."))


def write_json(path: Path, value: Any) -> None:
    """Write JSON to a temporary name, then move it: readers see the old file or the new one, never a half."""
    replace_atomically(path, lambda temporary: temporary.write_text(json.dumps(value, indent=2) + "\n"))


def replace_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write(temporary_path)`, flush it to the disk and move it over `path`; a failure leaves `path` as it was."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:  # safetensors tells a full disk by its own exception
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write {path}: {reason}. What stood there before is untouched.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _save(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    replace_atomically(path, lambda temporary: save_file(plain, temporary, metadata))


def _load(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise InputError(f"{path} is missing. A training writes it at its first checkpoint and at its end.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged or no safetensors file: {error}.") from error
    if metadata.get("kind") != kind:
        raise InputError(f"{path} holds {metadata.get('kind', 'something else')}, but {kind} was expected.")
    return tensors, metadata
