"""How well an image's affinity tells its true things apart, at the cells of what the network saw."""

import numpy as np
import torch
from torch import Tensor

from unipan.answer import Inference
from unipan.metrics.affinity import AffinityCounts, affinity_counts, thing_means
from unipan.models.decode import best_channel
from unipan.ops.device import where_float64_is
from unipan.ops.id_lookup import indices_of
from unipan.ops.upsample import STRIDE
from unipan.types import PanopticMap, Segment, Size


def affinity_of(inference: Inference, truth: PanopticMap) -> AffinityCounts:
    """All measures of one image; nothing where no affinity is learnt."""
    features = where_float64_is(inference.outputs.affinity[0])
    if not len(features):
        return AffinityCounts()
    things, labels = things_of_cells(truth, (features.shape[-2], features.shape[-1]), inference.network_size)
    counts = affinity_counts(features.flatten(1).T, things.to(features.device), labels.to(features.device))
    return counts + pixel_counts(inference, truth, things) if counts.rival_cells else counts


def pixel_counts(inference: Inference, truth: PanopticMap, things: Tensor) -> AffinityCounts:
    """The pixels of an image's true things that the affinity gives to their own thing, among the things of its class.

    things: of `things_of_cells`. A pixel's products with the things' means are those of the cells around it, by the shares that
    bring logits to pixels: cells on an outline, which hold two things, are told apart by them.
    """
    features, network_size = where_float64_is(inference.outputs.affinity[0].float()), inference.network_size
    size = (truth.ids.shape[0], truth.ids.shape[1])
    true_things = _things(truth)
    labels = torch.tensor([segment.class_index for segment in true_things])
    means, cells = thing_means(features.flatten(1).T, things.to(features.device), len(true_things))
    rival = right = 0
    for label in labels.unique():
        own = torch.where((labels == label) & (cells.cpu() > 0))[0]
        if len(own) < 2:
            continue
        products = (means[own].float() @ features.flatten(1)).unflatten(1, features.shape[1:])
        products = products.to(inference.outputs.affinity[0].device)
        nearest = best_channel(products, network_size, size, inference.outputs.upsampling[0]).cpu().numpy()
        true = indices_of(truth.ids.numpy(), [true_things[index].id for index in own])
        judged = true < len(own)
        rival, right = rival + int(judged.sum()), right + int((true == nearest)[judged].sum())
    return AffinityCounts(rival_pixels=rival, distinguished_pixels=right)


def things_of_cells(truth: PanopticMap, cells: Size, network_size: Size) -> tuple[Tensor, Tensor]:
    """Which true thing lies in the middle of each cell, (h * w,) int64, -1 for none or a crowd; and their classes (G,)."""
    rows, columns = (
        ((np.arange(length, dtype=np.float32) * STRIDE + STRIDE / 2) / seen * side).astype(np.int64).clip(max=side - 1)
        for length, seen, side in zip(cells, network_size, truth.ids.shape, strict=True)
    )
    things = _things(truth)
    index = indices_of(truth.ids.numpy()[rows[:, None], columns].ravel(), [segment.id for segment in things])
    labels = torch.tensor([segment.class_index for segment in things], dtype=torch.int64)
    return torch.from_numpy(np.where(index < len(things), index, -1)), labels


def _things(truth: PanopticMap) -> list[Segment]:
    return [segment for segment in truth.segments if segment.is_instance]
