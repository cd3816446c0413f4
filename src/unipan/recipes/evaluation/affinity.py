"""How well an image's affinity tells its true things apart, at the cells of what the network saw."""

from itertools import count

import torch
from torch import Tensor

from unipan.metrics.affinity import AffinityCounts, affinity_counts
from unipan.ops.segments import index_of_ids
from unipan.ops.upsample import STRIDE
from unipan.types import Inference, PanopticMap, Size


def affinity_of(inference: Inference, truth: PanopticMap) -> AffinityCounts:
    """Both measures of one image; nothing where no affinity is learnt."""
    features = inference.outputs.affinity[0]
    if not len(features):
        return AffinityCounts()
    things, labels = things_of_cells(truth, (features.shape[-2], features.shape[-1]), inference.network_size)
    return affinity_counts(features.flatten(1).T, things.to(features.device), labels.to(features.device))


def things_of_cells(truth: PanopticMap, cells: Size, network_size: Size) -> tuple[Tensor, Tensor]:
    """Which true thing lies in the middle of each cell, (h * w,) int64, -1 for none or a crowd; and the things' classes (G,)."""
    kept = [segment.is_thing and not segment.is_crowd for segment in truth.segments]
    next_index = count()
    thing_of_segment = torch.tensor([*(next(next_index) if one else -1 for one in kept), -1])  # the last entry is void's
    rows, columns = (
        ((torch.arange(length) * STRIDE + STRIDE / 2) / seen * side).long().clamp(max=side - 1)
        for length, seen, side in zip(cells, network_size, truth.ids.shape, strict=True)
    )
    index = index_of_ids(truth.ids[rows[:, None], columns], [segment.id for segment in truth.segments])
    labels = [segment.class_index for segment, one in zip(truth.segments, kept, strict=True) if one]
    return thing_of_segment[index.long()].flatten(), torch.tensor(labels, dtype=torch.int64)
