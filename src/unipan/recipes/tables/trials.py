"""One training of one method with one seed, and what it scores: done once, found again afterwards."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unipan.checkpoint import RunFolder, load_model, open_run
from unipan.config import Config, DataConfig, InferenceConfig
from unipan.console import logger
from unipan.data.build import validation_dataset
from unipan.engine.processes import this_process
from unipan.errors import InputError
from unipan.files import write_json
from unipan.models.build import untrained_network
from unipan.ops.device import find_device
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.predictor import Predictor
from unipan.recipes.evaluate import evaluate_predictor, evaluation_title
from unipan.recipes.train import train


def trained_run(name: str, config: Config, out: Path) -> Path:
    """The folder OUT/NAME-seedSEED with a finished training: reused where it is finished, resumed where it was stopped.

    A run there with other settings is an InputError; how answers are read off and scored may differ.
    """
    seed = config.train.seed
    folder = RunFolder(out / f"{name}-seed{seed}")
    if not folder.config.exists():
        _report(f"{folder.path}: training {name}, seed {seed}")
        train(config, folder.path)
        return folder.path
    _, found, _ = open_run(folder.path)
    if _trained_as(found) != _trained_as(config):
        raise InputError(
            f"{folder.path} holds a run of other settings than this table's {name} with seed {seed}; name another --out, or "
            "give the settings that the runs there have."
        )
    if not folder.is_finished:
        _report(f"{folder.path}: going on with {name}, seed {seed}")
        train(found, folder.path, resume=True)
    return folder.path


def measured(run: Path, base: Config, *, trim: bool) -> dict[str, Any]:
    """`Evaluation.to_json` of a finished run, its answers read off and trimmed as `base` says; kept in the run's folder."""

    def evaluate() -> dict[str, Any]:
        predictor = predictor_of(run, base.inference, base.data, trim=trim, device=base.train.device)
        return evaluate_predictor(predictor, validation_dataset(base.data), evaluation_title(_trimmed(base, trim=trim))).to_json()

    return kept_or(run, f"measured-{'trimmed' if trim else 'untrimmed'}", (base.inference, base.data, trim), evaluate)


def predictor_of(
    run: Path,
    inference: InferenceConfig,
    data: DataConfig,
    *,
    trim: bool,
    overrides: Overrides = NO_OVERRIDES,
    device: str = "auto",
) -> Predictor:
    """A finished run's predictor, which reads answers off and resizes as these settings say, but for the overrides."""
    folder, found, classes = open_run(run)
    config = overrides.applied_to(_trimmed(replace(found, inference=inference, data=data), trim=trim))
    network = untrained_network(config, classes)
    load_model(folder.model, network)
    return Predictor(network.to(find_device(device)), classes, config)


def _trimmed(config: Config, *, trim: bool) -> Config:
    return (NO_OVERRIDES if trim else Overrides(min_stuff_area_px=0)).applied_to(config)


def kept_or(run: Path, name: str, settings: object, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """RUN/NAME.json, measured anew unless it was found under these settings from the same weights by the same unipan."""
    key = {
        "weights": hashlib.sha256(RunFolder(run).model.read_bytes()).hexdigest(),
        "settings": hashlib.sha256(repr(settings).encode()).hexdigest(),
        "version": version("unipan"),
    }
    path = run / f"{name}.json"
    known = _kept(path, key)
    if known is not None:
        return known
    _report(f"{run}: evaluating")
    found = measure()
    if this_process().is_main:
        write_json(path, {"key": key, "evaluation": found})
    return found


def _kept(path: Path, key: dict[str, str]) -> dict[str, Any] | None:
    """What was measured before, if it was measured under this key."""
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        return content["evaluation"] if content["key"] == key else None
    except (ValueError, KeyError, TypeError):
        _report(f"{path} is damaged; it is measured again")
        return None


def _report(sentence: str) -> None:
    """Once, however many processes work on it together."""
    if this_process().is_main:
        logger.info(sentence)


def _trained_as(config: Config) -> Config:
    """The settings that weights depend on: all but how answers are read off, how many are scored, and the machine's part."""
    default = Config()
    data = replace(config.data, val_scenes=default.data.val_scenes, val_seed=default.data.val_seed)
    schedule = replace(config.train, workers=default.train.workers, device=default.train.device)
    return replace(config, inference=default.inference, data=data, train=schedule)
