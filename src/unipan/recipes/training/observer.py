"""All that looks on while a network learns: journal, trackers, warnings, averaged weights, evaluations and pictures."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import isfinite
from typing import Self

from torch import nn

from unipan.checkpoint import RunFolder, TrainingState
from unipan.classes import ClassTable
from unipan.config import Config, flat_settings
from unipan.console import console, warn
from unipan.engine.ema import WeightAverage
from unipan.engine.fit import Step
from unipan.engine.runtime import Runtime
from unipan.engine.trackers import Tracker, open_trackers
from unipan.metrics.report import percent
from unipan.recipes.training.checkups import Checkups
from unipan.recipes.training.faulty import reported
from unipan.recipes.training.journal import Journal, Stopwatch, read_log, trim_log
from unipan.recipes.training.watch import Watch
from unipan.tensor_file import read_tensor_file
from unipan.types import Batch


@dataclass(frozen=True, kw_only=True)
class Observer:
    """`batches` hands them out, `after` is called after each step, `choose_model` has the last word; `with` ends it all."""

    config: Config
    folder: RunFolder
    network: nn.Module
    is_main: bool
    journal: Journal
    trackers: list[Tracker]
    stopwatch: Stopwatch
    watch: Watch
    average: WeightAverage | None
    """None without train.ema."""
    checkups: Checkups | None
    """None where nothing is evaluated or drawn."""
    left_out: list[int]
    """Steps that were left out because something was not finite."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Look no longer, however the training ended; trackers write what they still hold."""
        self.watch.detach()
        for tracker in self.trackers:
            tracker.close()

    def batches(self, batches: Iterable[Batch], first_step: int) -> Iterator[Batch]:
        """Pass on the batches of the steps from `first_step`; skipped images are told and noted."""
        told = reported(self.stopwatch.timed(batches), self.journal.note, first_step=first_step)
        return self.watch.seeing(told, first_step)

    def after(self, progress: Callable[[int, float, float], None], save: Callable[[int], None]) -> Callable[[Step], None]:
        """What happens after each step; the checkpoint comes last, so that the log holds every step that it does."""
        schedule = self.config.train

        def after(step: Step) -> None:
            times = self.stopwatch.lap()
            if self.average:
                self.average.update(step.number)
            found = {**self._scores(step.number), **self.watch.news()}
            found |= self.stopwatch.fields(times, schedule.steps - step.number)
            warnings = self.watch.warnings(step.number, self.stopwatch.window)
            if step.broken:
                self.left_out.append(step.number)
                warnings.append(f"Step {step.number} was left out: {', '.join(step.broken)} not finite.")
            for warning in warnings:
                warn("warning:", warning)
            self.journal.step(step, found | ({"warnings": warnings} if warnings else {}))
            self._picture(step.number)
            progress(step.number, step.losses["loss"], self.stopwatch.images_per_second)
            if step.number % schedule.save_every == 0 or step.number == schedule.steps:
                save(step.number)

        return after

    def _scores(self, step: int) -> dict[str, float | None]:
        if not self.checkups or not _due(step, self.config.train.evaluate_every, self.config.train.steps):
            return {}
        return self.checkups.score(step)

    def _picture(self, step: int) -> None:
        if self.checkups and self.is_main and _due(step, self.config.train.panels_every, self.config.train.steps):
            picture = self.checkups.picture(step)
            for tracker in self.trackers:
                tracker.show(picture, step)

    def with_average(self, state: TrainingState) -> TrainingState:
        """A point to go on from, with the averaged weights where they are kept."""
        return replace(state, ema=dict(self.average.values)) if self.average else state

    def choose_model(self) -> None:
        """Give the network the weights that the run is to be known by, and say which: the best, averaged or last ones."""
        if self.left_out:
            first = ", ".join(map(str, self.left_out[:5]))
            warn(f"{len(self.left_out)} step(s) were left out,", f"first {first}: losses or gradients were not finite.")
        kind = f"moving average of the weights (train.ema {self.config.train.ema:g})" if self.average else "weights"
        if self.checkups and self.checkups.best_step:
            self.network.load_state_dict(read_tensor_file(self.folder.best, "model").tensors)
            console.print(self._best_sentence(self.checkups, kind), soft_wrap=True)
        elif self.average:
            self.network.load_state_dict(self.average.state_dict())
            console.print(f"{self.folder.model.name} holds the {kind} after the last step.", soft_wrap=True)

    def _best_sentence(self, checkups: Checkups, kind: str) -> str:
        later = checkups.best_step < self.config.train.steps and isfinite(checkups.last_pq)
        last = f"; after the last step it was {percent(checkups.last_pq)}" if later else ""
        return (
            f"{self.folder.model.name} holds the {kind} of step {checkups.best_step}, whose PQ of {percent(checkups.best_pq)} on "
            f"{len(checkups.evaluated)} held-out images was the best{last}. It was chosen on these images, so its score on them "
            "is a little too good."
        )


def observe(
    config: Config,
    folder: RunFolder,
    network: nn.Module,
    classes: ClassTable,
    runtime: Runtime,
    state: TrainingState | None,
    *,
    num_images: int,
) -> Observer:
    """Everything that the settings ask for; trims the log. state: what the run goes on from. num_images: of the training set."""
    schedule, processes = config.train, runtime.processes
    done = state.step if state else 0
    log = [line for line in read_log(folder.log) if line["step"] <= done]
    if processes.is_main:
        trim_log(folder.log, done)
    average = WeightAverage(network, schedule.ema, state.ema if state else None) if schedule.ema else None
    weights = average.state_dict if average else network.state_dict
    wanted = schedule.evaluate_every or (schedule.panels_every and processes.is_main)
    checkups = Checkups(config, folder, classes, weights, runtime.device, log) if wanted else None
    watch = Watch(config, classes, num_images=num_images, share=schedule.batch_size // processes.count, log=log)
    watch.attach(network)
    trackers = open_trackers(schedule.trackers, folder.path, flat_settings(config), done=done) if processes.is_main else []
    return Observer(
        config=config,
        folder=folder,
        network=network,
        is_main=processes.is_main,
        journal=Journal(folder.log, trackers, writes=processes.is_main),
        trackers=trackers,
        stopwatch=Stopwatch(schedule.batch_size),
        watch=watch,
        average=average,
        checkups=checkups,
        left_out=[line["step"] for line in log if "left_out" in line],
    )


def _due(step: int, every: int, steps: int) -> bool:
    """At every so many-th step and after the last; never where `every` is 0."""
    return bool(every) and (step % every == 0 or step == steps)
