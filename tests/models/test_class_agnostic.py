"""One box and one mask for all classes: what a detector with one for each class says whose classes all say the same."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from unipan.choices import DetectorKind
from unipan.classes import ClassTable
from unipan.config import ModelConfig
from unipan.models.build import build_detector
from unipan.models.proposals import STRIDES
from unipan.types import Size, Target

SIZES: list[Size] = [(128, 128), (128, 128)]
OWN_ROWS = ("box_predictor.bbox_pred", "mask_predictor.mask_fcn_logits")
"""Layers with rows for each class, or for all."""


@pytest.fixture
def pair(small_config: Callable[..., ModelConfig], classes: ClassTable) -> Callable[[DetectorKind], list[nn.Module]]:
    """Builds a class-agnostic detector, and one for each class with its weights, repeated for every class."""

    def build(kind: DetectorKind) -> list[nn.Module]:
        config = small_config(masks=True, variant="A", fpn_channels=64)
        settings = replace(config.detector, kind=kind, score_threshold=0.0)
        torch.manual_seed(0)
        shared, own = (
            build_detector(replace(config, detector=replace(settings, class_agnostic=agnostic)), classes)
            for agnostic in (True, False)
        )
        assert isinstance(shared, nn.Module)
        assert isinstance(own, nn.Module)
        state = own.state_dict()
        for name, tensor in shared.state_dict().items():
            repeats = len(state[name]) // len(tensor) if tensor.dim() else 1
            assert (repeats > 1) == any(layer in name for layer in OWN_ROWS)
            state[name] = torch.cat([tensor] * repeats) if repeats > 1 else tensor
        own.load_state_dict(state)
        return [shared, own]

    return build


@pytest.mark.parametrize("kind", ["two_stage", "one_stage"])
def test_it_is_a_detector_whose_classes_agree(
    kind: DetectorKind, pair: Callable[[DetectorKind], list[nn.Module]], scene: Callable[..., Target]
) -> None:
    random = torch.Generator().manual_seed(0)
    pyramid = [torch.randn(2, 64, -(-128 // stride), -(-128 // stride), generator=random) for stride in STRIDES]
    targets = [scene(SIZES[0], 0, [(1, (10, 12, 60, 70)), (3, (40, 50, 100, 120))]), scene(SIZES[0], 2, [(3, (30, 30, 94, 90))])]
    (found, losses), (expected, expected_losses) = (answers(one, pyramid, targets) for one in pair(kind))
    assert len(found) == len(expected)
    for mine, its in zip(found, expected, strict=True):
        assert mine.numel()
        torch.testing.assert_close(mine, its)
    torch.testing.assert_close(losses, expected_losses)
    assert losses["mask"] > 0


def answers(detector: nn.Module, pyramid: list[Tensor], targets: list[Target]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Boxes, scores, labels and masks of each image; and the losses."""
    detections, terms = detector(pyramid, SIZES, targets)
    tensors = [tensor for image in detector.add_masks(pyramid, SIZES, detections) for tensor in image if tensor is not None]  # type: ignore[operator]
    return tensors, {name: term.mean for name, term in terms.items()}
