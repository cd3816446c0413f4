"""What an evaluation costs beside the inference that it judges: processor time of one thread, in one run.

Inference is what a `Predictor` does, from pixels to the answer; the rest is the evaluation's own: PQ, also by size, both IoUs,
the confusions, AP with its run lengths, propagation's part, trimming and the summing up. Drawing the procedural scenes is in
neither.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import process_time

import torch
from torch import Tensor

from unipan.classes import ClassTable
from unipan.config import Config, PanopticHead
from unipan.data.scenes import SceneDataset
from unipan.models.build import build_network
from unipan.predictor import Predictor, build_predictor
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


def shares(config: Config, size: Size, number: int) -> str:
    """Random weights find little of worth, so the score threshold is lowered until the detector keeps all that it may."""
    scenes = Scenes(size, number)
    detector = replace(config.model.detector, score_threshold=0.0)
    torch.manual_seed(0)
    network = build_network(replace(config.model, pretrained=False, detector=detector), scenes.classes)
    predictor = build_predictor(network, scenes.classes, config)
    predictor(scenes[0].image)
    watch, start = Watch(predictor), process_time()
    evaluate_predictor(predictor, scenes, "scenes")
    own = process_time() - start - watch.seconds
    detections = len(predictor.outputs(scenes[0].image).detections[0].boxes)
    return (
        f"{size[0]} x {size[1]}, {number} images of {detections} detections: inference {1000 * watch.seconds / number:.0f} ms an "
        f"image, evaluation's own {1000 * own / number:.1f} ms, {own / watch.seconds:.1%}"
    )


def main() -> None:
    torch.set_num_threads(1)
    small = demo()
    masks = replace(small, model=replace(small.model, masks=True, variant="B"))
    print("demo, mask-free:", shares(small, small.data.scene_size, 40))
    print("demo, masks:    ", shares(masks, small.data.scene_size, 40))
    city = cityscapes_r50()
    city = replace(city, model=replace(city.model, checkpointing=False), data=replace(city.data, source="scenes"))
    print("cityscapes_r50: ", shares(city, (512, 1024), 4))


if __name__ == "__main__":
    main()
