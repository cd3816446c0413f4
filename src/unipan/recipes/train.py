"""`unipan train`: from settings to a run."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from torch import nn

from unipan.checkpoint import RunFolder, TrainingState, fill, save_model, write_settings
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.data.build import augmentation, remarks, training_dataset
from unipan.data.dataset import PanopticDataset
from unipan.data.loader import training_batches
from unipan.data.workers import dead_workers_named
from unipan.engine.fit import fit
from unipan.engine.guards import Guard
from unipan.engine.interrupt import requests_to_stop
from unipan.engine.optimize import build_optimizer, learning_rate, restore_momentum, training_state
from unipan.engine.processes import Processes
from unipan.engine.runtime import Runtime
from unipan.engine.trackers import need_trackers
from unipan.losses.build import build_criterion
from unipan.models.network import PanopticNetwork
from unipan.predictor import untrained_network
from unipan.recipes.console import console, speak_if, training_progress
from unipan.recipes.faulty import with_all_complaints
from unipan.recipes.observer import Observer, observe
from unipan.recipes.saving import keep_checkpoint, resumed_state, start_folder, stopping
from unipan.recipes.shares import check_shares
from unipan.recipes.start import fresh_network
from unipan.recipes.summary import base_rate, training_table
from unipan.types import Admission, Batch


def train(config: Config, out: Path, *, resume: bool = False) -> PanopticNetwork:
    """Train a network into the folder `out`, and return it. `resume` goes on exactly where a run there stopped."""
    folder = RunFolder(out)
    need_trackers(config.train.trackers)
    runtime = Runtime(device=config.train.device, precision=config.train.precision)
    processes = runtime.processes
    speak_if(main=processes.is_main)
    check_shares(config, processes.count)
    dataset = training_dataset(config.data, config.train.seed)
    for remark in remarks(dataset):
        console.print(remark, soft_wrap=True)
    state = resumed_state(folder, config, dataset.classes) if resume else None
    processes.barrier()  # all have read what is there before one changes it
    if processes.is_main and not resume:
        start_folder(folder)
        write_settings(folder, config, dataset.classes)
    network = _starting_network(config, dataset.classes, state, folder)
    prepared = runtime.prepare(network)
    optimizer = build_optimizer(network, momentum=config.train.momentum, weight_decay=config.train.weight_decay)
    if state:
        restore_momentum(optimizer, network, state)
        runtime.restore_scaler(state.scaler)
    done = state.step if state else 0
    device, count = str(runtime.device), processes.count
    console.print(training_table(config, network, dataset.classes, num_images=len(dataset), device=device, processes=count))
    observer = observe(config, folder, network, dataset.classes, runtime, state, num_images=len(dataset))
    save = partial(_save, folder, config.train.keep, network, optimizer, runtime, observer)
    with training_progress(config.train.steps, done) as progress, dead_workers_named(), requests_to_stop() as asked:
        fit(
            prepared,
            build_criterion(config.loss, dataset.classes, void_channel=config.model.void_channel),
            optimizer,
            observer.batches(_step_batches(config, dataset, processes, done), done + 1),
            runtime,
            first_step=done + 1,
            rate=_rate(config),
            seed=config.train.seed,
            clip_norm=config.train.clip_norm,
            admission=Admission(
                config.train.score_threshold, config.train.max_admitted, from_truth=config.train.detections == "truth"
            ),
            passes=config.train.accumulate,
            guard=Guard(folder.path, config.train.on_nonfinite, process=processes.index, processes=processes.count),
            on_step=stopping(observer.after(progress, save), asked, save, folder, config.train.steps),
        )
    runtime.release(prepared)
    observer.choose_model()
    if processes.is_main:
        save_model(folder.model, network)
    processes.barrier()  # what follows may read it
    return network


def _rate(config: Config) -> Callable[[int], float]:
    """The learning rate of each step."""
    schedule = config.train
    return partial(
        learning_rate,
        base=base_rate(config),
        warmup_steps=schedule.warmup_steps,
        warmup_factor=schedule.warmup_factor,
        decay_steps=schedule.decay_steps,
    )


def _step_batches(config: Config, dataset: PanopticDataset, processes: Processes, done: int) -> Iterator[Batch]:
    """This process's share of the steps after `done`."""
    batches = training_batches(
        dataset,
        augmentation=augmentation(config.data),
        min_thing_px=config.data.min_thing_px,
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        workers=config.train.workers,
        start_step=done,
        steps=config.train.steps,
        process=processes.index,
        processes=processes.count,
        faulty=config.data.faulty,
    )
    return with_all_complaints(batches, processes)


def _starting_network(config: Config, classes: ClassTable, state: TrainingState | None, folder: RunFolder) -> PanopticNetwork:
    """A fresh one, or what was saved."""
    if state is None:
        return fresh_network(config, classes)
    network = untrained_network(config, classes)
    fill(network, state.weights, folder.checkpoint(state.step))
    return network


def _save(folder: RunFolder, keep: int, network: nn.Module, optimizer, runtime: Runtime, observer: Observer, step: int) -> None:
    if runtime.processes.is_main:
        state = observer.with_average(training_state(step, network, optimizer, runtime.scaler_state))
        keep_checkpoint(folder, state, keep=keep)
    runtime.processes.barrier()  # a launcher may end all when one has ended, so none goes on before it is saved
