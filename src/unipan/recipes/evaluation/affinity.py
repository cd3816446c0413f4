"""How well an image's affinity tells its true things apart, at the cells of what the network saw."""

import numpy as np
import torch
from torch import Tensor

from unipan.answer import Inference
from unipan.metrics.affinity import AffinityCounts, affinity_counts
from unipan.ops.segments import indices_of
from unipan.ops.upsample import STRIDE
from unipan.types import PanopticMap, Size


def affinity_of(inference: Inference, truth: PanopticMap) -> AffinityCounts:
    """Both measures of one image; nothing where no affinity is learnt."""
    features = inference.outputs.affinity[0]
    if not len(features):
        return AffinityCounts()
    things, labels = things_of_cells(truth, (features.shape[-2], features.shape[-1]), inference.network_size)
    return affinity_counts(features.flatten(1).T, things.to(features.device), labels.to(features.device))


def things_of_cells(truth: PanopticMap, cells: Size, network_size: Size) -> tuple[Tensor, Tensor]:
    """Which true thing lies in the middle of each cell, (h * w,) int64, -1 for none or a crowd; and their classes (G,)."""
    rows, columns = (
        ((np.arange(length, dtype=np.float32) * STRIDE + STRIDE / 2) / seen * side).astype(np.int64).clip(max=side - 1)
        for length, seen, side in zip(cells, network_size, truth.ids.shape, strict=True)
    )
    things = [segment for segment in truth.segments if segment.is_thing and not segment.is_crowd]
    index = indices_of(truth.ids.numpy()[rows[:, None], columns].ravel(), [segment.id for segment in things])
    labels = torch.tensor([segment.class_index for segment in things], dtype=torch.int64)
    return torch.from_numpy(np.where(index < len(things), index, -1)), labels
