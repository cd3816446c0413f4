"""One training of one method with one seed, and what it scores: done once, found again afterwards."""

import hashlib
import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unipan.checkpoint import RunFolder, load_model, open_run, write_json
from unipan.config import Config
from unipan.console import console
from unipan.data.build import validation_dataset
from unipan.engine.processes import this_process
from unipan.errors import InputError
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.predictor import build_predictor, untrained_network
from unipan.recipes.evaluate import evaluate_predictor, name
from unipan.recipes.tables.methods import Method, method_config
from unipan.recipes.train import train


def trained_run(method: Method, base: Config, seed: int, out: Path) -> Path:
    """The folder OUT/METHOD-seedSEED with a finished training: reused where it is finished, resumed where it was stopped.

    A run there with other settings is an InputError; how answers are read off and scored may differ.
    """
    folder = RunFolder(out / f"{method}-seed{seed}")
    config = method_config(method, base, seed=seed)
    if not folder.config.exists():
        _say(f"{folder.path}: training {method}, seed {seed}")
        train(config, folder.path)
        return folder.path
    _, found, _ = open_run(folder.path)
    if _trained_as(found) != _trained_as(config):
        raise InputError(
            f"{folder.path} holds a run of other settings than this table's {method} with seed {seed}; name another --out, or "
            "give the settings that the runs there have."
        )
    if not folder.is_finished:
        _say(f"{folder.path}: going on with {method}, seed {seed}")
        train(found, folder.path, resume=True)
    return folder.path


def measured(run: Path, base: Config, *, trim: bool) -> dict[str, Any]:
    """`Evaluation.to_json` of a finished run, its answers read off and trimmed as `base` says; kept in the run's folder.

    What is kept counts as long as the weights, the settings of inference and data, and unipan's version are the same.
    """
    folder, found, classes = open_run(run)
    config = replace(found, inference=base.inference, data=base.data)
    key = {
        "weights": hashlib.sha256(folder.model.read_bytes()).hexdigest(),
        "settings": hashlib.sha256(repr((config.inference, config.data, trim)).encode()).hexdigest(),
        "version": version("unipan"),
    }
    kept = run / f"measured-{'trimmed' if trim else 'untrimmed'}.json"
    known = _kept(kept, key)
    if known is not None:
        return known
    network = untrained_network(config, classes)
    load_model(folder.model, network)
    limits = NO_OVERRIDES if trim else Overrides(min_stuff_area_px=0)
    predictor = build_predictor(network, classes, limits.applied_to(config))
    _say(f"{run}: evaluating")
    evaluation = evaluate_predictor(predictor, validation_dataset(config.data), name(config, trim=trim)).to_json()
    if this_process().is_main:
        write_json(kept, {"key": key, "evaluation": evaluation})
    return evaluation


def _kept(path: Path, key: dict[str, str]) -> dict[str, Any] | None:
    """What was measured before, if it was measured under this key."""
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        return content["evaluation"] if content["key"] == key else None
    except (ValueError, KeyError, TypeError):
        _say(f"{path} is damaged; it is measured again")
        return None


def _say(sentence: str) -> None:
    """Once, however many processes work on it together."""
    if this_process().is_main:
        console.print(sentence, soft_wrap=True)


def _trained_as(config: Config) -> Config:
    """The settings that weights depend on: all but how answers are read off, how many are scored, and the machine's part."""
    default = Config()
    data = replace(config.data, val_scenes=default.data.val_scenes)
    schedule = replace(config.train, workers=default.train.workers, device=default.train.device)
    return replace(config, inference=default.inference, data=data, train=schedule)
