"""A network that is small enough for tests, with random weights: its forward pass takes tens of milliseconds."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from unipan.classes import ClassInfo, ClassTable
from unipan.config import DetectorConfig, ModelConfig
from unipan.models.build import build_network
from unipan.models.network import PanopticNetwork
from unipan.types import Size, Target

DETECTOR = DetectorConfig(
    anchor_scale=4.0, proposals_before_nms=100, proposals=20, rpn_samples=32, roi_samples=16, box_channels=32, mask_channels=16
)


@pytest.fixture
def class_table() -> Callable[[str], ClassTable]:
    """Makes a table from a string: upper-case letters are things, lower-case letters stuff."""

    def make(letters: str) -> ClassTable:
        return ClassTable(
            tuple(
                ClassInfo(name=letter, is_thing=letter.isupper(), dataset_id=10 + position, color=(0, 0, 0), supercategory=letter)
                for position, letter in enumerate(letters)
            )
        )

    return make


@pytest.fixture
def classes(class_table: Callable[[str], ClassTable]) -> ClassTable:
    """Stuff and things interleaved, so that a class index is never its channel or its detector label by chance."""
    return class_table("sBgCw")


@pytest.fixture
def small_config() -> Callable[..., ModelConfig]:
    """Makes the settings of a small network; keywords override them."""

    def make(**settings: object) -> ModelConfig:
        small = dict(backbone="resnet10t", fpn_channels=16, decoder_channels=(16, 16), affinity_dim=8, detector=DETECTOR)
        return ModelConfig(pretrained=False, **small | settings)  # type: ignore[arg-type]

    return make


@pytest.fixture
def small_network(small_config: Callable[..., ModelConfig], classes: ClassTable) -> Callable[..., PanopticNetwork]:
    """Builds it, always with the same weights, for `classes` or for another table."""

    def build(table: ClassTable = classes, **settings: object) -> PanopticNetwork:
        torch.manual_seed(0)
        return build_network(small_config(**settings), table)

    return build


@pytest.fixture
def noise() -> Callable[..., Tensor]:
    """Makes a random image (3, H, W)."""

    def make(height: int, width: int, seed: int = 0) -> Tensor:
        return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))

    return make


@pytest.fixture
def scene() -> Callable[..., Target]:
    """Makes a truth: a background class, and things as (class index, (x1, y1, x2, y2)) in whole pixels, later ones in front."""

    def make(size: Size, background: int, things: Sequence[tuple[int, tuple[int, int, int, int]]] = ()) -> Target:
        instances = torch.full(size, -1, dtype=torch.int32)
        semantic = torch.full(size, background, dtype=torch.int16)
        for number, (label, (x1, y1, x2, y2)) in enumerate(things):
            instances[y1:y2, x1:x2] = number
            semantic[y1:y2, x1:x2] = label
        boxes = torch.tensor([box for _, box in things], dtype=torch.float32).view(-1, 4)
        labels = torch.tensor([label for label, _ in things], dtype=torch.int64)
        return Target(boxes=boxes, labels=labels, instances=instances, semantic=semantic)

    return make
