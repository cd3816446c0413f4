"""Class maps (H, W), and their confusion counted pixel by pixel: what the counts of segments are held against."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from unipan.classes import VOID
from unipan.metrics.confusion import Confusion
from unipan.types import PanopticMap


def class_map(panoptic: PanopticMap) -> Tensor:
    """Each pixel's class, or VOID."""
    classes = torch.full(panoptic.ids.shape, VOID)
    for segment in panoptic.segments:
        classes[panoptic.ids == segment.id] = segment.class_index
    return classes


def confuse(predicted: Tensor | Iterable[int], true: Tensor | Iterable[int], num_classes: int) -> Confusion:
    """Count one image. Both are class indices, or VOID."""
    pixels = np.zeros((num_classes, num_classes + 1), dtype=np.int64)
    for p, t in zip(torch.as_tensor(predicted).flatten().tolist(), torch.as_tensor(true).flatten().tolist(), strict=True):
        if t != VOID:
            pixels[t, num_classes if p == VOID else p] += 1
    return Confusion(pixels)
