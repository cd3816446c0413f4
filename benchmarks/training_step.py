"""A preset's training step on procedural scenes, to be timed: forward pass, losses and backward pass, with random weights."""

from collections.abc import Callable
from dataclasses import replace

import torch

from unipan.data.scenes.dataset import SceneDataset
from unipan.data.scenes.materials import scene_classes
from unipan.data.targets import make_target
from unipan.losses.build import build_criterion
from unipan.models.build import build_network
from unipan.presets import PRESETS
from unipan.types import Admission, Size

ADMITTED = 20
"""Of the detections, the best, so that there are as many channels as a step gets."""


def training_step(preset: str, number: int, size: Size, **settings: object) -> Callable[[], None]:
    """number: images at once. settings: of the network, in place of the preset's."""
    config, classes = PRESETS[preset](), scene_classes()
    torch.manual_seed(0)
    network = build_network(replace(config.model, pretrained=False, **settings), classes)
    criterion = build_criterion(config.loss, classes, void_channel=config.model.void_channel, existence=config.model.existence)
    scenes = SceneDataset(difficulty="standard", size=size, seed=0, length=number)
    samples = [scenes[index] for index in range(number)]
    images = torch.stack([sample.image for sample in samples]).float() / 255
    targets = [make_target(sample.truth, min_thing_px=config.data.min_thing_px) for sample in samples]
    admission = Admission(0.0, ADMITTED, every_mask=False)

    def run() -> None:
        network.zero_grad()
        outputs = network(images, [size] * number, targets, admission=admission)
        criterion(outputs, targets).total.backward()

    return run
