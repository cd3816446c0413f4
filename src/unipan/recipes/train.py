"""`unipan train`: from settings to a run."""

import json
import time
from collections.abc import Callable
from functools import partial
from math import isfinite
from pathlib import Path

from torch import nn

from unipan.checkpoint import (
    RunFolder,
    TrainingState,
    fill,
    load_training,
    open_run,
    replace_atomically,
    save_model,
    save_training,
    write_settings,
)
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.data.build import augmentation, training_dataset
from unipan.data.loader import training_batches
from unipan.engine.fit import Step, fit
from unipan.engine.optimize import build_optimizer, learning_rate, restore_momentum, training_state
from unipan.engine.runtime import Runtime
from unipan.errors import InputError
from unipan.losses.build import build_criterion
from unipan.models.build import build_network
from unipan.models.network import PanopticNetwork
from unipan.models.warm_start import warm_start
from unipan.predictor import untrained_network
from unipan.recipes.console import console, training_progress
from unipan.recipes.summary import base_rate, training_table, warm_start_table
from unipan.types import Admission


def train(config: Config, out: Path, *, resume: bool = False) -> PanopticNetwork:
    """Train a network into the folder `out`, and return it. `resume` goes on exactly where a run there stopped."""
    folder = RunFolder(out)
    runtime = Runtime(device=config.train.device, precision=config.train.precision)
    dataset = training_dataset(config.data, config.train.seed)
    state = _saved_state(folder, config, dataset.classes) if resume else None
    if not resume:
        _refuse_overwriting(folder)
        write_settings(folder, config, dataset.classes)
    network = _starting_network(config, dataset.classes, state, folder)
    prepared = runtime.prepare(network)
    optimizer = build_optimizer(network, momentum=config.train.momentum, weight_decay=config.train.weight_decay)
    if state:
        restore_momentum(optimizer, network, state)
        runtime.restore_scaler(state.scaler)
    done = state.step if state else 0
    _trim_log(folder.log, done)
    console.print(training_table(config, network, dataset.classes, num_images=len(dataset), device=str(runtime.device)))
    save = partial(_save, folder, network, optimizer, runtime)
    with training_progress(config.train.steps, done) as progress:
        fit(
            prepared,
            build_criterion(config.loss, dataset.classes, void_channel=config.model.void_channel),
            optimizer,
            training_batches(
                dataset,
                augmentation=augmentation(config.data),
                min_thing_px=config.data.min_thing_px,
                batch_size=config.train.batch_size,
                seed=config.train.seed,
                workers=config.train.workers,
                start_step=done,
                steps=config.train.steps,
            ),
            runtime,
            first_step=done + 1,
            rate=partial(
                learning_rate,
                base=base_rate(config),
                warmup_steps=config.train.warmup_steps,
                warmup_factor=config.train.warmup_factor,
                decay_steps=config.train.decay_steps,
            ),
            seed=config.train.seed,
            clip_norm=config.train.clip_norm,
            admission=Admission(
                config.train.score_threshold, config.train.max_admitted, from_truth=config.train.detections == "truth"
            ),
            on_step=_after_step(folder.log, progress, save, config.train.save_every, config.train.steps),
        )
    runtime.release(prepared)
    save_model(folder.model, network)
    return network


def _starting_network(config: Config, classes: ClassTable, state: TrainingState | None, folder: RunFolder) -> PanopticNetwork:
    """ImageNet's backbone or a Mask R-CNN, the rest drawn from the seed; or what was saved."""
    import torch

    if state:
        network = untrained_network(config, classes)
        fill(network, state.weights, folder.training)
        return network
    torch.manual_seed(config.train.seed)
    if not config.train.warm_start:
        return build_network(config.model, classes)
    network = untrained_network(config, classes)
    report = warm_start(
        network,
        Path(config.train.warm_start),
        things=[classes[index].name for index in classes.things],
        anchor_scale=config.model.detector.anchor_scale,
        aspect_ratios=config.model.detector.aspect_ratios,
    )
    console.print(warm_start_table(report))
    return network


def _saved_state(folder: RunFolder, config: Config, classes: ClassTable) -> TrainingState:
    """The state to go on from; the settings and the class table must be the run's own."""
    _, saved_config, saved_classes = open_run(folder.path)
    if saved_config != config or saved_classes != classes:
        raise InputError(
            f"--resume: the settings or the class table are not those of the run in {folder.path}; "
            f"give the same ones (they stand in {folder.config}), or train into a new folder."
        )
    return load_training(folder.training)


def _refuse_overwriting(folder: RunFolder) -> None:
    if folder.training.exists() or folder.model.exists():
        raise InputError(f"{folder.path} holds a run already; add --resume to go on with it, or name another --out.")


def _trim_log(path: Path, done: int) -> None:
    """Drop the lines of steps that will be done again, for the last checkpoint lies before them, and one that was cut short."""
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= done]
        replace_atomically(path, lambda temporary: temporary.write_text("".join(kept)))


def _finite(norm: float) -> float | None:
    """JSON knows no infinity: where fp16 overflowed, and the step was skipped, there is no norm."""
    return round(norm, 4) if isfinite(norm) else None


def _append(path: Path, line: dict[str, float | None]) -> None:
    try:
        with path.open("a") as log:
            log.write(json.dumps(line) + "\n")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; the last checkpoint is untouched.") from error


def _save(folder: RunFolder, network: nn.Module, optimizer, runtime: Runtime, step: int) -> None:
    save_training(folder.training, training_state(step, network, optimizer, runtime.scaler_state))


def _after_step(log: Path, progress, save: Callable[[int], None], save_every: int, steps: int) -> Callable[[Step], None]:
    """What happens after each step: a log line, the progress bar, a checkpoint."""
    started = time.perf_counter()

    def after(step: Step) -> None:
        seconds = round(time.perf_counter() - started, 3)
        values = {name: round(value, 6) for name, value in step.losses.items()}
        line = {"step": step.number, **values, "learning_rate": step.learning_rate, "gradient_norm": _finite(step.gradient_norm)}
        _append(log, {**line, "seconds": seconds})
        progress(step.number, step.losses["loss"])
        if step.number % save_every == 0 or step.number == steps:
            save(step.number)

    return after
