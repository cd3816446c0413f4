"""Forms of one computation with the same values, the plain one beside the one in use: python benchmarks/bench_forms.py [ROUNDS].

One thread, one run, interleaved. That their values and gradients agree is tested where each form is.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from peers.scene import class_table, draw_scene
from PIL import Image
from record import interleaved, record
from torch import Tensor, nn

from unipan.data.id_maps import rgb_from_ids, write_id_map
from unipan.data.scenes.dataset import SceneDataset
from unipan.models.build import build_network
from unipan.models.feature_decoder import project
from unipan.ops.jaccard import weights_by_argsort, weights_by_bits
from unipan.ops.roi_align import level_by_level, roi_align
from unipan.predictor import Predictor
from unipan.presets import cityscapes_r50

Ways = dict[str, Callable[[], object]]
SIZE = (512, 1024)
STRIDES = (4, 8, 16, 32)


def levels(channels: int) -> list[Tensor]:
    """Four maps, as the pyramid has them."""
    return [torch.randn(1, channels, SIZE[0] // stride, SIZE[1] // stride, requires_grad=True) for stride in STRIDES]


def backward(maps: list[Tensor], form: Callable[[], Tensor]) -> None:
    """Forward and backward."""
    torch.autograd.grad(form().sum(), maps)


def classifier(outputs: int) -> Ways:
    """1x1, behind the upsampling and concatenation of four levels, or on each of them."""
    maps, convolution = levels(128), nn.Conv2d(4 * 128, outputs, 1)

    def behind() -> Tensor:
        size = maps[0].shape[-2:]
        return convolution(torch.cat([F.interpolate(one, size, mode="bilinear", align_corners=False) for one in maps], 1))

    return {
        "behind the concatenation": partial(backward, maps, behind),
        "on each level": partial(backward, maps, lambda: project(maps, convolution)),
    }


def regions(number: int, bins: int) -> Ways:
    """RoIAlign of boxes of all sizes."""
    maps, scales = levels(256), [1 / stride for stride in STRIDES]
    corners = torch.rand(number, 2) * torch.tensor([SIZE[1] * 0.8, SIZE[0] * 0.8])
    sides = 8 * 2 ** (torch.rand(number, 2) * 5)
    boxes = torch.cat([torch.zeros(number, 1), corners, corners + sides], 1)
    level = (torch.log2(sides.prod(1).sqrt() / 224) + 2).floor().clamp(0, 3)
    return {
        "torchvision's, level by level": partial(backward, maps, lambda: level_by_level(maps, scales, boxes, level, bins)),
        "its values, gradient by rows": partial(backward, maps, lambda: roi_align(maps, scales, boxes, level, bins)),
    }


def jaccard(rows: int) -> Ways:
    """The weights of a Lovasz loss."""
    errors, truth = torch.rand(rows, SIZE[0] * SIZE[1]), torch.rand(rows, SIZE[0] * SIZE[1]) < 1 / rows
    return {
        "argsort": partial(weights_by_argsort, errors, truth),
        "bits as integers": partial(weights_by_bits, errors, truth),
    }


def masks() -> Ways:
    """A prediction that keeps 100 detections, of which 20 enter the answer."""
    config = cityscapes_r50()
    detector = replace(config.model.detector, score_threshold=0.0, max_detections=100)
    inference = replace(config.inference, score_threshold=0.0, max_admitted=20)
    config = replace(config, model=replace(config.model, pretrained=False, detector=detector), inference=inference)
    predictor = Predictor(build_network(config.model, class_table()), class_table(), config)
    pixels = (draw_scene(SIZE).image * 255).to(torch.uint8)
    return {
        "masks of all": lambda: predictor.infer(pixels),
        "of those that enter the answer": lambda: predictor.infer(pixels, head="unified"),
    }


def id_maps(folder: Path) -> Ways:
    """An id map of 1024 x 2048 to a PNG file."""
    ids = SceneDataset(difficulty="crowded", size=(1024, 2048), seed=0, length=1)[0].truth.ids

    def by_pillow() -> None:
        Image.fromarray(rgb_from_ids(ids.numpy())).save(folder / "pillow.png")

    return {"Pillow": by_pillow, "kornia-rs": lambda: write_id_map(folder / "kornia.png", ids)}


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        cases = {
            "1x1 convolution to 19 classes, forward and backward": classifier(19),
            "1x1 convolution to 133 classes, forward and backward": classifier(133),
            "RoIAlign of 1,000 boxes, forward and backward": regions(1000, 7),
            "RoIAlign of 228 masks, forward and backward": regions(228, 14),
            "Lovasz-softmax's weights, 19 classes": jaccard(19),
            "prediction of 100 detections, 20 admitted": masks(),
            "a PNG of ids, 1024 x 2048": id_maps(Path(name)),
        }
        record("bench_forms", {case: interleaved(ways, rounds) for case, ways in cases.items()})


if __name__ == "__main__":
    main()
