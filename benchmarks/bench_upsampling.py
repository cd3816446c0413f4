"""Time a training step with convex upsampling against one with bilinear logits: python benchmarks/bench_upsampling.py [ROUNDS].

One thread, one run, interleaved: every round times both. The demo's network with random weights, forward, losses and backward, on
procedural scenes; its 20 best detections are admitted, so channels are as many as they get.
"""

import sys
from collections.abc import Callable
from dataclasses import replace

import torch
from record import interleaved, record

from unipan.choices import Upsampling
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.scenes.materials import scene_classes
from unipan.data.targets import make_target
from unipan.losses.build import build_criterion
from unipan.models.build import build_network
from unipan.presets import PRESETS
from unipan.types import Admission, Size

CASES: tuple[tuple[int, Size], ...] = ((4, (128, 160)), (1, (512, 1024)))
"""Images at once, and their size."""


def step(upsampling: Upsampling, number: int, size: Size) -> Callable[[], None]:
    config, classes = PRESETS["demo"](), scene_classes()
    torch.manual_seed(0)
    network = build_network(replace(config.model, pretrained=False, upsampling=upsampling), classes)
    criterion = build_criterion(config.loss, classes, void_channel=True, existence=True)
    scenes = SceneDataset(difficulty="standard", size=size, seed=0, length=number)
    samples = [scenes[index] for index in range(number)]
    images = torch.stack([sample.image for sample in samples]).float() / 255
    targets = [make_target(sample.truth, min_thing_px=config.data.min_thing_px) for sample in samples]

    def run() -> None:
        network.zero_grad()
        outputs = network(images, [size] * number, targets, admission=Admission(0.0, 20))
        criterion(outputs, targets).total.backward()

    return run


def main() -> None:
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    measured = {}
    for number, size in CASES:
        ways = {"convex": step("convex", number, size), "bilinear": step("bilinear", number, size)}
        measured[f"{number} of {size[0]} x {size[1]}"] = interleaved(ways, rounds)
    record("bench_upsampling", measured)


if __name__ == "__main__":
    main()
