"""While a network learns: its score on held-out images now and then, its best weights, and panels of what it sees.

All of it happens in a second network, which takes over the weights (averaged ones, if there are such): nothing of the training is
touched, and in mixed precision the score is that of `evaluate`.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite, nan
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from unipan.checkpoint import RunFolder
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.console import logger, warn
from unipan.data.build import validation_dataset
from unipan.data.dataset import Part, evenly_spaced
from unipan.engine.fit import Hook, Step
from unipan.engine.processes import this_process
from unipan.engine.trackers import Tracker
from unipan.errors import InputError, OthersUnreachable
from unipan.metrics.report import percent
from unipan.models.build import untrained_network
from unipan.predictor import Predictor
from unipan.recipes.answer_colors import answer_colors
from unipan.recipes.evaluate import evaluate_predictor, evaluation_title
from unipan.tensor_file import TensorFile, read_facts, write_tensor_file
from unipan.types import Sample
from unipan.viz.canvas import as_pil, enlarge, readable_scale, save_image
from unipan.viz.overlay import overlay
from unipan.viz.sheet import contact_sheet

NONE_YET = (-1.0, 0)
"""PQ and step before any evaluation."""
PANELS = 4
"""Held-out images of a panel."""


class HeldOut:
    """A second network beside the one that learns, and the images that it is judged by."""

    def __init__(
        self, config: Config, classes: ClassTable, weights: Callable[[], Mapping[str, Tensor]], device: torch.device
    ) -> None:
        """weights: the whole network's, as they are now."""
        self.images = validation_dataset(config.data)
        self.weights = weights
        self._predictor = Predictor(untrained_network(config, classes).to(device), classes, config)

    def predictor(self) -> Predictor:
        """A predictor with the weights of now."""
        self._predictor.network.load_state_dict(self.weights())
        return self._predictor

    def part(self, length: int) -> Part:
        """At most so many of the images, evenly spaced; 0 for all."""
        return Part(self.images, evenly_spaced(len(self.images), length or len(self.images)))


class Validation(Hook):
    """Scores the network now and then, and keeps the weights in RUN/best.safetensors if none before were better."""

    def __init__(
        self, config: Config, folder: RunFolder, held_out: HeldOut, log: Sequence[Mapping[str, Any]], *, is_main: bool
    ) -> None:
        """log: the lines so far, of a run that goes on."""
        self.config = config
        self.folder = folder
        self.held_out = held_out
        self.evaluated = held_out.part(config.train.evaluate_images)
        self.is_main = is_main
        self.best_pq, self.best_step = self._best_before(log)
        self.last_pq, self.last_step = nan, 0

    def _best_before(self, log: Sequence[Mapping[str, Any]]) -> tuple[float, int]:
        """The best PQ so far and its step, if its weights are still there; they are not where a stopped run had gone further."""
        earlier = [(line["pq"], line["step"]) for line in log if line.get("pq") is not None]
        pq, step = max(earlier, key=lambda entry: (entry[0], -entry[1]), default=NONE_YET)
        if not step or _step_of(self.folder.best) == str(step):
            return pq, step
        logger.warning(
            f"the weights of step {step}, the best until here, are gone: the run had gone on, and kept others. "
            "The best of the steps to come are kept."
        )
        return NONE_YET

    def after_step(self, step: Step) -> None:
        if not due(step.index, self.config.train.evaluate_every, self.config.train.steps):
            return
        predictor = self.held_out.predictor()
        for statistics in predictor.network.buffers():  # where batch norms are fine-tuned, each process has its own
            this_process().broadcast(statistics)
        try:
            quality = evaluate_predictor(predictor, self.evaluated, evaluation_title(self.config)).answer.quality
        except OthersUnreachable:
            raise
        except InputError as error:
            step.stop = InputError(f"the evaluation after step {step.index}, which is saved, failed: {error}")
            return
        self.last_pq, self.last_step = quality.all.pq, step.index
        if self.last_pq > self.best_pq:
            self.best_pq, self.best_step = self.last_pq, step.index
            if self.is_main:
                facts = {"step": str(step.index), "pq": repr(self.last_pq)}
                write_tensor_file(self.folder.best, TensorFile("model", dict(self.held_out.weights()), facts))
        shown = [percent(part.pq) for part in (quality.all, quality.things, quality.stuff)]
        logger.info(
            f"step {step.index}: PQ {shown[0]}, things {shown[1]}, stuff {shown[2]} on {len(self.evaluated)} held-out images"
        )
        scores = {"pq": quality.all.pq, "pq_things": quality.things.pq, "pq_stuff": quality.stuff.pq}
        step.fields |= {field: value if isfinite(value) else None for field, value in scores.items()}

    def best_sentence(self, kind: str) -> str:
        """What the model is, where it holds the weights that scored best. kind: of weights."""
        later = self.best_step < self.last_step and isfinite(self.last_pq)
        when = "the last step" if self.last_step == self.config.train.steps else f"step {self.last_step}"
        last = f"; after {when} it was {percent(self.last_pq)}" if later else ""
        return (
            f"{self.folder.model.name} holds the {kind} of step {self.best_step}, whose PQ of {percent(self.best_pq)} on "
            f"{len(self.evaluated)} held-out images was the best{last}. It was chosen on these images, so its score on them "
            "is a little too good."
        )


class Panels(Hook):
    """Draws a few held-out images with truth and answer now and then, into RUN/panels and the trackers."""

    def __init__(self, config: Config, folder: RunFolder, held_out: HeldOut, trackers: Sequence[Tracker]) -> None:
        self.config = config
        self.folder = folder
        self.held_out = held_out
        self.trackers = trackers

    def after_step(self, step: Step) -> None:
        if not due(step.index, self.config.train.panels_every, self.config.train.steps):
            return
        predictor, shown = self.held_out.predictor(), self.held_out.part(PANELS)
        try:
            rows = [_row(predictor, shown[index]) for index in range(len(shown))]
        except InputError as error:
            warn(f"no panel after step {step.index}:", str(error))
            return
        sheet = contact_sheet(rows, column_titles=["image", "truth", f"answer after {step.index} steps"])
        save_image(sheet, self.folder.panels / f"step-{step.index:08}.jpg")
        for tracker in self.trackers:
            tracker.show(sheet, step.index)


def _row(predictor: Predictor, sample: Sample) -> list[Image.Image]:
    image, answer = as_pil(sample.image), predictor(sample.image)
    return [
        enlarge(image, readable_scale(*image.size)),
        overlay(sample.truth, image, predictor.classes, scale=None),
        overlay(answer, image, scale=None, colors=answer_colors(answer, sample.truth, predictor.classes)),
    ]


def _step_of(best: Path) -> str | None:
    """Of which step the weights in a file are, if they can be read."""
    try:
        return read_facts(best).get("step")
    except InputError:
        return None


def due(step: int, every: int, steps: int) -> bool:
    """At every so many-th step and after the last; never where `every` is 0."""
    return bool(every) and (step % every == 0 or step == steps)
