"""All hooks of a training, in the order in which they are called. A new one is a class and an entry here."""

import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import torch
from torch import nn

from unipan.checkpoint import RunFolder, TrainingState
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.console import logger, training_progress
from unipan.engine.ema import WeightAverage
from unipan.engine.fit import Hook, Step
from unipan.engine.interrupt import Stopped, requests_to_stop
from unipan.engine.processes import Processes
from unipan.engine.runtime import Runtime
from unipan.engine.trackers import open_trackers
from unipan.errors import OthersUnreachable
from unipan.recipes.training.checkpoints import Checkpoints
from unipan.recipes.training.health import Health
from unipan.recipes.training.log import Log, Stopwatch, read_log, trim_log
from unipan.recipes.training.skipped_images import SkippedImages
from unipan.recipes.training.validation import HeldOut, Panels, Validation
from unipan.settings import flat_settings


def training_hooks(
    config: Config,
    folder: RunFolder,
    classes: ClassTable,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    runtime: Runtime,
    state: TrainingState | None,
    *,
    num_images: int,
    own: Sequence[Hook],
    to_go_on: str,
) -> list[Hook]:
    """What the settings ask for; trims the log. state: what the run goes on from. num_images: of the training set.

    own: the caller's. to_go_on: what a person has to do after a stop.
    """
    schedule, processes = config.train, runtime.processes
    done, share = state.step if state else 0, schedule.batch_size // processes.count
    lines = [line for line in read_log(folder.log) if line["step"] <= done]
    if processes.is_main:
        trim_log(folder.log, done)
    trackers = open_trackers(schedule.trackers, folder.path, flat_settings(config), done=done) if processes.is_main else []
    log, stopwatch = Log(folder.log, trackers, writes=processes.is_main), Stopwatch(schedule.batch_size, schedule.steps)
    average = WeightAverage(network, schedule.ema, state.ema if state else None) if schedule.ema else None
    weights, validation, panels = average.state_dict if average else network.state_dict, None, None
    draws = schedule.panels_every and processes.is_main
    if schedule.evaluate_every or draws:
        held_out = HeldOut(config, classes, weights, runtime.device)
        validation = Validation(config, folder, held_out, lines, is_main=processes.is_main) if schedule.evaluate_every else None
        panels = Panels(config, folder, held_out, trackers) if draws else None
    hooks = [
        stopwatch,
        SkippedImages(log.note, processes),
        average,
        validation,
        Health(config, classes, network, stopwatch.window, num_images=num_images, share=share, log=lines),
        *own,
        log,  # what those above found of a step
        panels,
        Progress(schedule.steps, done, stopwatch),
        StopRequest(folder, schedule.steps, done, processes, to_go_on),
        Checkpoints(folder, schedule, network, optimizer, runtime, average, validation),  # when the log has the step
    ]
    return [hook for hook in hooks if hook]


class Progress(Hook):
    """A bar, or a line every minute in a file."""

    def __init__(self, steps: int, done: int, stopwatch: Stopwatch) -> None:
        self.stopwatch = stopwatch
        self._bar = ExitStack()
        self._show = self._bar.enter_context(training_progress(steps, done))

    def after_step(self, step: Step) -> None:
        self._show(step.index, step.losses["loss"], self.stopwatch.images_per_second)

    def close(self) -> None:
        self._bar.close()


class StopRequest(Hook):
    """Ends the training after the step in which a signal, or a hook, asked any process for it."""

    def __init__(self, folder: RunFolder, steps: int, done: int, processes: Processes, to_go_on: str) -> None:
        self.folder = folder
        self.steps = steps
        self.processes = processes
        self.to_go_on = to_go_on
        self._under_way = done + 1
        self._handlers = ExitStack()
        self._asked = self._handlers.enter_context(requests_to_stop(self._understood))

    def after_step(self, step: Step) -> None:
        self._under_way = step.index + 1
        if self.processes.any_of(step.stop is not None):  # a hook's own reason in one of them ends all
            where = f"after step {step.index} of {self.steps}, which is saved"
            step.stop = step.stop or OthersUnreachable(f"a hook of another process has ended the training {where}.")
            return
        if step.index == self.steps:
            return
        step.should_stop = self.processes.any_of(step.should_stop)  # a hook may have asked in one of them
        if not self.processes.any_of(self._asked() is not None):
            return
        number = self._asked() or signal.SIGTERM
        step.stop = Stopped(
            f"stopped by {number.name} after step {step.index} of {self.steps}, which is saved; {self.to_go_on} "
            f"to go on in {self.folder.path}.",
            number,
        )

    def close(self) -> None:
        self._handlers.close()

    def _understood(self, number: signal.Signals) -> None:
        """Said at once, for a step may take long."""
        further = "; once more ends at once, without saving" if number == signal.SIGINT else ""
        with suppress(RuntimeError):  # the signal came in the midst of another message
            logger.info(f"{number.name}: finishing step {min(self._under_way, self.steps)} and saving{further}")
