"""What a run keeps on the disk to go on from, and what it goes on from."""

import re
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from unipan.checkpoint import RunFolder, TrainingState, load_training, open_run, save_model, save_training
from unipan.classes import ClassTable
from unipan.config import Config, TrainConfig
from unipan.console import logger, warn
from unipan.engine.ema import WeightAverage
from unipan.engine.fit import Hook, Step
from unipan.engine.optimize import training_state
from unipan.engine.runtime import Runtime
from unipan.errors import InputError
from unipan.files import flush, make_folder, sweep
from unipan.recipes.training.validation import Validation, due
from unipan.settings import flat_settings
from unipan.settings_file import absent_settings
from unipan.tensor_file import TensorFile, read_tensor_file, write_tensor_file

FREE = (
    *("data.faulty", "train.cuda_graphs", "train.keep", "train.on_nonfinite", "train.panels_every", "train.save_every"),
    *("train.trackers", "train.workers"),
)
"""Settings that change no step that was done, so that a run may go on with others."""

SCHEDULE = ("train.steps", "train.decay_steps")
"""Settings that may change as far as they concern steps to come."""

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
            f"{folder.path} has no checkpoint that is whole ({len(steps)} are damaged), so there is nothing to go on "
            "from. Put back a copy of one into its checkpoints/, or train into a new folder."
        )
    logger.info(f"{folder.path} was stopped before its first checkpoint; starting from the beginning.")
    return None


def resumed_state(folder: RunFolder, config: Config, classes: ClassTable) -> TrainingState | None:
    """What to go on from; the settings and the class table must be the run's own, but for what changes no step that was done."""
    _, saved, saved_classes = open_run(folder.path)
    own, given = flat_settings(saved), flat_settings(config)
    free = (*FREE, *SCHEDULE)
    other = [f"{name} is {own[name]} there, {given[name]} here" for name in own if own[name] != given[name] and name not in free]
    if other or saved_classes != classes:
        raise InputError(
            f"{folder.path} holds a run with other settings or another class table"
            f" ({'; '.join(other[:3]) or saved_classes.difference(classes) or 'colors or ids of the classes differ'}); "
            f"give the same ones (they stand in {folder.config}), or train into a new folder."
        )
    absent = absent_settings(folder.config)
    if absent:
        logger.info(f"{folder.config} was written by an earlier version; taken by default: {', '.join(absent)}.")
    sweep(folder.path, folder.checkpoints)
    state = newest_state(folder)
    if state:
        logger.info(f"{folder.path}: {_going_on(saved.train, config.train, state.step)}")
    return state


def _going_on(saved: TrainConfig, given: TrainConfig, done: int) -> str:
    """From where a run goes on, and what another schedule does; refuses one by which steps that are done would be others."""
    if given.schedule == "cosine":
        return _going_on_cosine(saved, given, done)
    past = [[step for step in schedule.decay_steps if step < done] for schedule in (saved, given)]
    if past[0] != past[1]:
        raise InputError(
            f"train.decay_steps is {_listed(saved.decay_steps)} in the run and {_listed(given.decay_steps)} here, but {done} "
            f"steps are done, with the rate divided after {_listed(past[0])}; only divisions from step {done} on can be changed."
        )
    if given.steps < done:
        raise InputError(f"train.steps is {given.steps}, but {done} steps of the run are done; give {done} or more.")
    if given.steps == done:
        return f"all of its {done} steps are done; a higher --train.steps trains it longer."
    sentence = f"going on after step {done} of {given.steps}"
    if (given.steps, given.decay_steps) == (saved.steps, saved.decay_steps):
        return f"{sentence}."
    coming = [step for step in given.decay_steps if done <= step < given.steps]
    beyond = [step for step in given.decay_steps if step >= given.steps]
    rate = f"divided by 10 after {_listed(coming)}" if coming else "not divided any more (--train.decay-steps says when)"
    never = f"; {_listed(beyond)} lies beyond the end" if beyond else ""
    return f"{sentence}, which was to end after {saved.steps}. What is done stays; the learning rate is {rate}{never}."


def _going_on_cosine(saved: TrainConfig, given: TrainConfig, done: int) -> str:
    """The same for a rate that has depended on the number of steps from the first one on."""
    if given.steps != saved.steps:
        raise InputError(
            f"train.steps is {saved.steps} in the run and {given.steps} here, but with train.schedule cosine every rate follows "
            "from it; give the run's own, or train into a new folder (--train.init starts from this run's weights)."
        )
    return f"going on after step {done} of {given.steps}." if done < given.steps else f"all of its {done} steps are done."


def _listed(steps: Sequence[int]) -> str:
    return ", ".join(map(str, steps)) or "no step"


class Checkpoints(Hook):
    """Saves what a run goes on from and, each time, the model as it is then; the network ends with the model's weights."""

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
        ends = step.stop or step.should_stop
        if step.should_stop and step.index < self.schedule.steps:
            logger.info(f"Ended by a hook after step {step.index} of {self.schedule.steps}.")
        if not (ends or due(step.index, self.schedule.save_every, self.schedule.steps)):
            return
        if self.runtime.processes.is_main:
            state = training_state(step.index, self.network, self.optimizer, self.runtime.scaler_state)
            if self.average:
                state = replace(state, ema=dict(self.average.values))
            keep_checkpoint(self.folder, state, keep=self.schedule.keep)
            if step.index < self.schedule.steps:
                write_tensor_file(self.folder.model, TensorFile("model", self._model_weights(), {"step": str(step.index)}))
        self.runtime.processes.barrier()  # a launcher may end all when one has ended, so none goes on before it is saved

    def _model_weights(self) -> dict[str, Tensor]:
        """What the run is known by: its best weights, the averaged, or the last."""
        if self.validation and self.validation.best_step:
            return read_tensor_file(self.folder.best, "model").tensors
        return self.average.state_dict() if self.average else dict(self.network.state_dict())

    def at_end(self) -> None:
        weights = self._model_weights()
        broken = [name for name, weight in weights.items() if weight.is_floating_point() and not weight.isfinite().all()]
        if broken:
            raise InputError(
                f"the training diverged: after its last step {len(broken)} of {len(weights)} weights are not finite, "
                f"first {broken[0]}. Train with a lower learning rate (train.learning_rate)."
            )
        self.network.load_state_dict(weights)
        kind = f"moving average of the weights (train.ema {self.schedule.ema:g})" if self.average else "weights"
        if self.validation and self.validation.best_step:
            logger.info(self.validation.best_sentence(kind))
        elif self.average:
            logger.info(f"{self.folder.model.name} holds the {kind} after the last step.")
        if self.runtime.processes.is_main:
            save_model(self.folder.model, self.network)
        self.runtime.processes.barrier()  # what follows may read it
