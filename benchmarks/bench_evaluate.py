"""What an evaluation costs beside the inference that it judges: processor time of one thread, in one run.

Inference is what a `Predictor` does, from pixels to the answer; the rest is the evaluation's own: PQ, also by size, both IoUs,
the confusions, AP with its run lengths, propagation's part, trimming and the summing up. Drawing the procedural scenes is in
neither.
"""

import gc
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from time import process_time

import torch
from record import record
from torch import Tensor

from unipan.answer import Inference
from unipan.checkpoint import open_run
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.data.dataset import PanopticDataset
from unipan.data.scenes.dataset import SceneDataset
from unipan.models.build import build_network
from unipan.predictor import Predictor, load
from unipan.presets import cityscapes_r50, demo
from unipan.recipes.evaluate import evaluate_predictor, held_out
from unipan.types import PanopticMap, Sample, Size

ROUNDS = 3


class First:
    """The first images of a data set, read already."""

    def __init__(self, dataset: PanopticDataset, number: int) -> None:
        self.classes: ClassTable = dataset.classes
        self.samples: Sequence[Sample] = [dataset[index] for index in range(min(number, len(dataset)))]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


class Timer:
    """Adds up the time in a predictor's inference."""

    def __init__(self, predictor: Predictor) -> None:
        self.seconds, self._infer, self._answer = 0.0, predictor.infer, predictor.answer
        predictor.infer, predictor.answer = self.infer, self.answer  # type: ignore[assignment]

    def infer(self, image: Tensor) -> Inference:
        start = process_time()
        found = self._infer(image)
        self.seconds += process_time() - start
        return found

    def answer(self, inference: Inference, *, trim: bool) -> PanopticMap:
        start = process_time()
        found = self._answer(inference, trim=trim)
        self.seconds += process_time() - start
        return found


def scenes(size: Size) -> SceneDataset:
    return SceneDataset(difficulty="standard", size=size, seed=0, length=100)


def untrained(config: Config, classes: ClassTable) -> Predictor:
    """Random weights find little of worth, so the score threshold is lowered until the detector keeps all that it may."""
    detector = replace(config.model.detector, score_threshold=0.0)
    torch.manual_seed(0)
    network = build_network(replace(config.model, pretrained=False, detector=detector), classes)
    return Predictor(network, classes, config)


Rounds = dict[str, list[float]]


def rounds_of(predictor: Predictor, images: First) -> tuple[str, Rounds]:
    """What is evaluated, and milliseconds an image. The first evaluation of all warms up: it loads the library for AP."""
    evaluate_predictor(predictor, images, "images")
    found = mean(len(predictor.infer(sample.image).detections.boxes) for sample in images.samples)
    measured: Rounds = {"inference": [], "evaluation's own": []}
    timer = Timer(predictor)
    for _ in range(ROUNDS):
        timer.seconds, start = 0.0, process_time()
        evaluate_predictor(predictor, images, "images")
        own = process_time() - start - timer.seconds
        for name, seconds in (("inference", timer.seconds), ("evaluation's own", own)):
            measured[name].append(1000 * seconds / len(images))
    height, width = images[0].image.shape[1:]
    return f"{height} x {width}, {found:.0f} detections", measured


def main() -> None:
    """Of networks with random weights on scenes, and of the runs whose folders are given, on their held-out images."""
    torch.set_num_threads(1)
    gc.freeze()  # a collection that walks over all that torch has loaded takes 0.2 s, wherever it falls
    small, city = demo(), cityscapes_r50()
    masks = replace(small, model=replace(small.model, masks=True, variant="B"))
    city = replace(city, model=replace(city.model, checkpointing=False), data=replace(city.data, source="scenes"))
    measured = {}
    for name, config, size, number in (
        ("demo", small, small.data.scene_size, 40),
        ("demo with masks", masks, masks.data.scene_size, 40),
        ("cityscapes_r50", city, (512, 1024), 4),
    ):
        images = First(scenes(size), number)
        what, found = rounds_of(untrained(config, images.classes), images)
        measured[f"{name}, {what}"] = found
    for run in sys.argv[1:]:
        what, found = rounds_of(load(run), First(held_out(run, open_run(run)[1].data), 60))
        measured[f"{Path(run).name}, trained, {what}"] = found
    record("bench_evaluate", measured)


if __name__ == "__main__":
    main()
