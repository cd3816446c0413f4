"""What an evaluation costs beside the inference that it judges: processor time of one thread, in one run.

Inference is what a `Predictor` does, from pixels to the answer; the rest is the evaluation's own: PQ, also by size, both IoUs,
the confusions, AP with its run lengths, propagation's part, trimming and the summing up. Drawing the procedural scenes is in
neither.
"""

import gc
import sys
from collections.abc import Sequence
from dataclasses import replace
from time import process_time

import torch
from torch import Tensor

from unipan.classes import ClassTable
from unipan.config import Config, PanopticHead
from unipan.data.scenes import SceneDataset
from unipan.models.build import build_network
from unipan.predictor import Predictor, build_predictor, load
from unipan.presets import cityscapes_r50, demo
from unipan.recipes.evaluate import evaluate_predictor
from unipan.types import Outputs, PanopticMap, Sample, Size


class Scenes:
    """Scenes that are drawn already."""

    def __init__(self, size: Size, number: int) -> None:
        drawn = SceneDataset(difficulty="standard", size=size, seed=0, length=number)
        self.classes: ClassTable = drawn.classes
        self.samples: Sequence[Sample] = [drawn[index] for index in range(number)]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


class Watch:
    """Adds up the time in a predictor's inference."""

    def __init__(self, predictor: Predictor) -> None:
        self.seconds, self._outputs, self._untrimmed = 0.0, predictor.outputs, predictor.untrimmed
        predictor.outputs, predictor.untrimmed = self.outputs, self.untrimmed

    def outputs(self, pixels: Tensor) -> Outputs:
        start = process_time()
        found = self._outputs(pixels)
        self.seconds += process_time() - start
        return found

    def untrimmed(self, outputs: Outputs, size: Size, *, decoder: PanopticHead | None = None) -> PanopticMap:
        start = process_time()
        found = self._untrimmed(outputs, size, decoder=decoder)
        self.seconds += process_time() - start
        return found


def untrained(config: Config, size: Size) -> Predictor:
    """Random weights find little of worth, so the score threshold is lowered until the detector keeps all that it may."""
    classes = Scenes(size, 0).classes
    detector = replace(config.model.detector, score_threshold=0.0)
    torch.manual_seed(0)
    network = build_network(replace(config.model, pretrained=False, detector=detector), classes)
    return build_predictor(network, classes, config)


def shares(predictor: Predictor, size: Size, number: int) -> str:
    """The first evaluation of all warms up: it loads the library for AP."""
    scenes = Scenes(size, number)
    evaluate_predictor(predictor, scenes, "scenes")
    detections = sum(len(predictor.outputs(sample.image).detections[0].boxes) for sample in scenes.samples) / number
    watch, start = Watch(predictor), process_time()
    evaluate_predictor(predictor, scenes, "scenes")
    own = process_time() - start - watch.seconds
    return (
        f"{size[0]} x {size[1]}, {number} images of {detections:.0f} detections: inference {1000 * watch.seconds / number:.1f} "
        f"ms an image, evaluation's own {1000 * own / number:.2f} ms, {own / watch.seconds:.1%}"
    )


def main() -> None:
    """Of networks with random weights, or of the runs whose folders are given, on scenes of the demo's size."""
    torch.set_num_threads(1)
    gc.freeze()  # a collection that walks over all that torch has loaded takes 0.2 s, wherever it falls
    small = demo()
    if runs := sys.argv[1:]:
        for run in runs:
            print(f"{run}:", shares(load(run), small.data.scene_size, 60))
        return
    masks = replace(small, model=replace(small.model, masks=True, variant="B"))
    for name, config in (("demo, mask-free:", small), ("demo, masks:    ", masks)):
        print(name, shares(untrained(config, small.data.scene_size), small.data.scene_size, 40))
    city = cityscapes_r50()
    city = replace(city, model=replace(city.model, checkpointing=False), data=replace(city.data, source="scenes"))
    print("cityscapes_r50: ", shares(untrained(city, (512, 1024)), (512, 1024), 4))


if __name__ == "__main__":
    main()
