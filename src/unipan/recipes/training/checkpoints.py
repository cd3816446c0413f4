"""What a run keeps on the disk to go on from, and what it goes on from."""

import re
from dataclasses import replace

import torch
from torch import nn

from unipan.checkpoint import RunFolder, TrainingState, load_training, make_folder, open_run, save_model, save_training
from unipan.classes import ClassTable
from unipan.config import Config, TrainConfig, absent_settings, flat_settings
from unipan.console import console, warn
from unipan.disk import flush, sweep
from unipan.engine.ema import WeightAverage
from unipan.engine.fit import Hook, Step
from unipan.engine.optimize import training_state
from unipan.engine.runtime import Runtime
from unipan.errors import InputError
from unipan.recipes.training.validation import Validation, due
from unipan.tensor_file import read_tensor_file

FREE = (
    *("data.faulty", "train.keep", "train.on_nonfinite", "train.panels_every", "train.save_every", "train.trackers"),
    "train.workers",
)
"""Settings that change no step that was done, so that a run may go on with others."""

_NAME = re.compile(r"step-(\d{8,})\.safetensors")


def saved_steps(folder: RunFolder) -> list[int]:
    """The steps after which a checkpoint was written and kept, in order."""
    names = [_NAME.fullmatch(path.name) for path in folder.checkpoints.glob("step-*")]
    return sorted(int(name[1]) for name in names if name)


def keep_checkpoint(folder: RunFolder, state: TrainingState, *, keep: int) -> None:
    """Write a checkpoint; when it is on the disk, remove all but the `keep` newest.

    Of later steps than this one there are none but damaged ones, which `newest_state` passed over: they go too.
    """
    make_folder(folder.checkpoints)
    if folder.log.exists():
        flush(folder.log)  # so that no power cut leaves a checkpoint whose steps the log lacks
    save_training(folder.checkpoint(state.step), state)
    steps = saved_steps(folder)
    kept = [step for step in steps if step <= state.step][-keep:]
    for step in set(steps) - set(kept):
        folder.checkpoint(step).unlink(missing_ok=True)


def start_folder(folder: RunFolder) -> None:
    """Refuse a folder that holds a run already, and clean one whose run was killed before its first checkpoint."""
    if saved_steps(folder) or folder.model.exists():
        raise InputError(f"{folder.path} holds a run already; add --resume to go on with it, or name another --out.")
    _sweep(folder)


def _sweep(folder: RunFolder) -> None:
    for place in (folder.path, folder.checkpoints):
        sweep(place)


def newest_state(folder: RunFolder) -> TrainingState | None:
    """The newest checkpoint that is whole; each that is not is named. None where the run was stopped before its first one."""
    steps = saved_steps(folder)
    for step in reversed(steps):
        try:
            state = load_training(folder.checkpoint(step))
        except InputError as error:
            warn("passed over:", str(error))
            continue
        if state.step == step:
            return state
        warn("passed over:", f"{folder.checkpoint(step)} is of step {state.step}, not {step}.")
    if steps or folder.model.exists():
        raise InputError(
            f"--resume: {folder.path} has no checkpoint that is whole ({len(steps)} are damaged), so there is nothing to go on "
            "from. Put back a copy of one into its checkpoints/, or train into a new folder."
        )
    console.print(f"{folder.path} was stopped before its first checkpoint; starting from the beginning.", soft_wrap=True)
    return None


def resumed_state(folder: RunFolder, config: Config, classes: ClassTable) -> TrainingState | None:
    """What to go on from; the settings and the class table must be the run's own, but for what changes no step."""
    _, saved, saved_classes = open_run(folder.path)
    own, given = flat_settings(saved), flat_settings(config)
    other = [f"{name} is {own[name]} there, {given[name]} here" for name in own if own[name] != given[name] and name not in FREE]
    if other or saved_classes != classes:
        raise InputError(
            f"--resume: the settings or the class table are not those of the run in {folder.path}"
            f" ({'; '.join(other[:3]) or saved_classes.difference(classes) or 'colours or ids of the classes differ'}); "
            f"give the same ones (they stand in {folder.config}), or train into a new folder."
        )
    absent = absent_settings(folder.config)
    if absent:
        console.print(
            f"{folder.config} was written by an earlier version; taken by default: {', '.join(absent)}.", soft_wrap=True
        )
    _sweep(folder)
    return newest_state(folder)


class Checkpoints(Hook):
    """Saves what a run goes on from, and at the end gives the network the weights that the run is to be known by."""

    def __init__(
        self,
        folder: RunFolder,
        schedule: TrainConfig,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        runtime: Runtime,
        average: WeightAverage | None,
        validation: Validation | None,
    ) -> None:
        self.folder = folder
        self.schedule = schedule
        self.network = network
        self.optimizer = optimizer
        self.runtime = runtime
        self.average = average
        self.validation = validation

    def after_step(self, step: Step) -> None:
        if not (step.stop or due(step.index, self.schedule.save_every, self.schedule.steps)):
            return
        if self.runtime.processes.is_main:
            state = training_state(step.index, self.network, self.optimizer, self.runtime.scaler_state)
            if self.average:
                state = replace(state, ema=dict(self.average.values))
            keep_checkpoint(self.folder, state, keep=self.schedule.keep)
        self.runtime.processes.barrier()  # a launcher may end all when one has ended, so none goes on before it is saved

    def at_end(self) -> None:
        """The best, averaged or last weights become the network's, and the model."""
        kind = f"moving average of the weights (train.ema {self.schedule.ema:g})" if self.average else "weights"
        if self.validation and self.validation.best_step:
            self.network.load_state_dict(read_tensor_file(self.folder.best, "model").tensors)
            console.print(self.validation.best_sentence(kind), soft_wrap=True)
        elif self.average:
            self.network.load_state_dict(self.average.state_dict())
            console.print(f"{self.folder.model.name} holds the {kind} after the last step.", soft_wrap=True)
        if self.runtime.processes.is_main:
            save_model(self.folder.model, self.network)
        self.runtime.processes.barrier()  # what follows may read it
