"""While a network learns: its score on held-out images now and then, its best weights, and pictures of what it sees.

All of it happens in a second network, which takes over the weights (averaged ones, if there are such): nothing of the training is
touched, and in mixed precision the score is that of `evaluate`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from PIL import Image
from torch import Tensor

from unipan.checkpoint import RunFolder, make_folder
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.console import console
from unipan.data.build import validation_dataset
from unipan.data.dataset import PanopticDataset
from unipan.disk import replace_atomically
from unipan.engine.processes import here
from unipan.metrics.report import percent
from unipan.predictor import Predictor, build_predictor, untrained_network
from unipan.recipes.evaluate import evaluate_predictor, name
from unipan.tensor_file import TensorFile, write_tensor_file
from unipan.types import Sample
from unipan.viz.canvas import as_pil, enlarge, readable_scale
from unipan.viz.overlay import overlay
from unipan.viz.sheet import contact_sheet

PANELS = 4
"""Held-out images of a panel."""


@dataclass(frozen=True)
class Part:
    """Evenly spaced images of a data set."""

    whole: PanopticDataset
    length: int

    @property
    def classes(self) -> ClassTable:
        return self.whole.classes

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int, /) -> Sample:
        return self.whole[index * len(self.whole) // self.length]


class Checkups:
    """Looks at a network that learns. Every process must call it alike."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        classes: ClassTable,
        weights: Callable[[], Mapping[str, Tensor]],
        device,
        log: Sequence[Mapping[str, Any]],
    ) -> None:
        """weights: the whole network's, as they are now. log: the lines so far, of a run that goes on."""
        self.config = config
        self.folder = folder
        self.weights = weights
        held_out = validation_dataset(config.data)
        limit = config.train.evaluate_images or len(held_out)
        self.evaluated = Part(held_out, min(limit, len(held_out)))
        self.shown = Part(held_out, min(PANELS, len(held_out)))
        self.predictor: Predictor = build_predictor(untrained_network(config, classes).to(device), classes, config)
        earlier = [(line["pq"], line["step"]) for line in log if line.get("pq") is not None]
        self.best_pq, first = max(earlier, key=lambda entry: (entry[0], -entry[1]), default=(-1.0, 0))
        self.best_step = first
        self.last_pq = nan

    def score(self, step: int) -> dict[str, float | None]:
        """Evaluate, and keep the weights in RUN/best.safetensors if none before were better; the fields of the log's line."""
        self._take_weights()
        quality = evaluate_predictor(self.predictor, self.evaluated, name(self.config, trim=True)).answer.quality
        self.last_pq = quality.all.pq
        if self.last_pq > self.best_pq:
            self.best_pq, self.best_step = self.last_pq, step
            if here().is_main:
                facts = {"step": str(step), "pq": repr(self.last_pq)}
                write_tensor_file(self.folder.best, TensorFile("model", dict(self.weights()), facts))
        told = [percent(part.pq) for part in (quality.all, quality.things, quality.stuff)]
        console.print(f"step {step}: PQ {told[0]}, things {told[1]}, stuff {told[2]} on {len(self.evaluated)} held-out images")
        scores = {"pq": quality.all.pq, "pq_things": quality.things.pq, "pq_stuff": quality.stuff.pq}
        return {field: value if isfinite(value) else None for field, value in scores.items()}

    def picture(self, step: int) -> Image.Image:
        """Draw a few held-out images with truth and answer, and write them to RUN/panels."""
        self._take_weights()
        rows = [self._row(self.shown[index]) for index in range(len(self.shown))]
        sheet = contact_sheet(rows, column_titles=["picture", "truth", f"answer after {step} steps"])
        make_folder(self.folder.panels)
        path = self.folder.panels / f"step-{step:08}.jpg"
        replace_atomically(path, lambda temporary: sheet.save(temporary, format="JPEG", quality=90))
        return sheet

    def _row(self, sample: Sample) -> list[Image.Image]:
        classes, picture = self.predictor.classes, as_pil(sample.image)
        answer = self.predictor(sample.image)
        return [
            enlarge(picture, readable_scale(*picture.size)),
            overlay(sample.truth, picture, classes),
            overlay(answer, picture, classes),
        ]

    def _take_weights(self) -> None:
        self.predictor.network.load_state_dict(self.weights())
