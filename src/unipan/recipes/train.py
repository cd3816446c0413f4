"""`unipan train`: from settings to a run."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path
from typing import assert_never

import torch
from torch import nn

from unipan.checkpoint import RunFolder, TrainingState, fill, open_run, write_settings
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.console import logger, quiet_unless, warn
from unipan.data.build import remarks, step_batches, training_dataset
from unipan.data.dataset import SourceDataset
from unipan.data.fitting import settled
from unipan.data.loader import training_batches
from unipan.data.statistics import SetStatistics, sampled_statistics, setting_remarks
from unipan.data.workers import dead_workers_named
from unipan.engine.fit import Hook, Trainer, fit
from unipan.engine.guards import Guard
from unipan.engine.optimize import build_optimizer, cosine_rate, learning_rate, restore_optimizer
from unipan.engine.processes import Processes
from unipan.engine.runtime import Runtime
from unipan.engine.trackers import need_trackers
from unipan.errors import InputError
from unipan.losses.build import criterion_of
from unipan.models.build import untrained_network
from unipan.models.cuda_graphs import cuda_graphs
from unipan.models.network import PanopticNetwork
from unipan.recipes.training.checkpoints import resumed_state
from unipan.recipes.training.hooks import training_hooks
from unipan.recipes.training.run_folder import has_begun, note_data, start_folder
from unipan.recipes.training.setup import base_rate, check_divisible, fresh_network, training_admission, training_table
from unipan.settings import flat_settings


def train(
    config: Config,
    out: Path,
    *,
    resume: bool = False,
    hooks: Sequence[Hook] = (),
    to_go_on: str = "give the same command with --resume",
) -> PanopticNetwork:
    """Train a network into the folder `out`, and return it. `resume` goes on exactly where a run there stopped.

    hooks: the caller's own, called before the log is written; in every process. to_go_on: what a person has to do after a stop.
    """
    folder, runtime = RunFolder(out), _runtime(config)
    resume = resume and has_begun(folder)
    dataset = training_dataset(config.data, config.train.seed)
    sample = cache(partial(sampled_statistics, dataset))
    config = _settled(config, sample, folder, resume=resume)
    schedule, processes = config.train, runtime.processes
    classes, images = dataset.classes, len(dataset)
    share = step_batches(config, dataset, process=processes.index, processes=processes.count)
    for remark in remarks(dataset):
        logger.info(remark)
    if config.data.kind != "scenes":
        for remark in setting_remarks(config, sample()):
            warn("settings:", remark)
    state = resumed_state(folder, config, classes) if resume else None
    done = state.step if state else 0
    network = _starting_network(config, classes, state, folder)  # first: what can't be started from leaves no folder behind
    _begin(folder, config, dataset, processes, resume=resume)
    prepared = runtime.prepare(network)
    optimizer = _optimizer(config, network, runtime, state)
    device, count = runtime.device.type, processes.count
    logger.info(training_table(config, network, classes, num_images=images, device=device, processes=count))
    trainer = Trainer(
        network=prepared,
        criterion=criterion_of(config, classes),
        optimizer=optimizer,
        runtime=runtime,
        rate=_rate(config),
        seed=schedule.seed,
        clip_norm=schedule.clip_norm,
        admission=training_admission(config),
        passes=schedule.accumulate,
        guard=Guard(folder.path, schedule.on_nonfinite, process=processes.index, processes=processes.count),
    )
    all_hooks = training_hooks(
        config, folder, classes, network, optimizer, runtime, state, num_images=images, own=hooks, to_go_on=to_go_on
    )
    batches = training_batches(share, range(done, schedule.steps), schedule.workers)
    with dead_workers_named(), cuda_graphs(network) if schedule.cuda_graphs else nullcontext():
        fit(trainer, batches, all_hooks, first_step=done + 1)
    runtime.release(prepared)
    return network


def _runtime(config: Config) -> Runtime:
    """The device and the processes; refuses settings that they can't serve."""
    need_trackers(config.train.trackers)
    runtime = Runtime(device=config.train.device, precision=config.train.precision)
    quiet_unless(main=runtime.processes.is_main)
    if config.train.cuda_graphs and runtime.device.type != "cuda":
        raise InputError(f"train.cuda_graphs needs a CUDA GPU, but the device is {runtime.device.type}; leave it out.")
    check_divisible(config, runtime.processes.count)
    return runtime


def _settled(config: Config, sample: Callable[[], SetStatistics], folder: RunFolder, *, resume: bool) -> Config:
    """The settings, with those that follow from the data; what they are is said."""
    whole = settled(config, sample, open_run(folder.path)[1] if resume else None)
    own, given = flat_settings(whole), flat_settings(config)
    follow = [f"{name} {own[name]}" for name in own if own[name] != given[name]]
    if follow:
        logger.info(f"By the training data: {', '.join(follow)}.")
    return whole


def _begin(folder: RunFolder, config: Config, dataset: SourceDataset, processes: Processes, *, resume: bool) -> None:
    """Start the run's folder, once every process has read in it what to go on from."""
    processes.barrier()
    if processes.is_main:
        if not resume:
            start_folder(folder)
        write_settings(folder, config, dataset.classes)
        note_data(folder, dataset, resume=resume)


def _optimizer(config: Config, network: nn.Module, runtime: Runtime, state: TrainingState | None) -> torch.optim.Optimizer:
    """It and the runtime's loss scaling, as they were saved."""
    schedule = config.train
    optimizer = build_optimizer(network, schedule.optimizer, momentum=schedule.momentum, weight_decay=schedule.weight_decay)
    if state:
        restore_optimizer(optimizer, network, state)
        runtime.restore_scaler(state.scaler)
    return optimizer


def _rate(config: Config) -> Callable[[int], float]:
    """The learning rate of each step."""
    schedule = config.train
    shared = {"base": base_rate(config), "warmup_steps": schedule.warmup_steps, "warmup_factor": schedule.warmup_factor}
    match schedule.schedule:
        case "steps":
            return partial(learning_rate, **shared, decay_steps=schedule.decay_steps)
        case "cosine":
            return partial(cosine_rate, **shared, steps=schedule.steps)
    assert_never(schedule.schedule)


def _starting_network(config: Config, classes: ClassTable, state: TrainingState | None, folder: RunFolder) -> PanopticNetwork:
    """A fresh one, or what was saved."""
    if state is None:
        return fresh_network(config, classes)
    network = untrained_network(config, classes)
    fill(network, state.weights, folder.checkpoint(state.step))
    return network
