"""How well an image's affinity tells its true things apart, at the cells of what the network saw."""

from dataclasses import replace

import torch
from torch import Tensor

from unipan.answer import Inference
from unipan.data.targets import make_target
from unipan.metrics.affinity import AffinityCounts, affinity_counts
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
        ((torch.arange(length) * STRIDE + STRIDE / 2) / seen * side).long().clamp(max=side - 1)
        for length, seen, side in zip(cells, network_size, truth.ids.shape, strict=True)
    )
    target = make_target(replace(truth, ids=truth.ids[rows[:, None], columns]), min_thing_px=0)
    return target.instances.flatten().long(), target.labels
