"""Which segment does a cell belong to, by its affinity alone? What the panoptic loss asks of the affinity only where boxes fail.

h x w cells of one image, n of them in true segments, G of these; D features.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import VOID
from unipan.losses.pixels import IGNORE
from unipan.ops.propagation import pooled
from unipan.ops.upsample import STRIDE
from unipan.types import Target, Term, add_terms

SCALE = 10.0
"""Of the evidence, as the unified head's scale starts: without it no softmax over means could be confident."""
FIRST_THING = VOID + 1
"""Thing g of an image is segment FIRST_THING + g; stuff is the segment of its class index."""


def affinity_terms(affinity: Sequence[Tensor], targets: Sequence[Target], *, stuff: Sequence[int]) -> dict[str, Term]:
    """ "affinity": the sum of `membership_losses` over the segments of all images. affinity: (D, h, w) of each image."""
    parts: list[dict[str, Term]] = []
    for features, target in zip(affinity, targets, strict=True):
        segments = true_cells(target, features.shape[-2], features.shape[-1], stuff=stuff)
        counted = segments != IGNORE
        losses = membership_losses(features.flatten(1).T[counted], segments[counted])
        parts.append({"affinity": Term(losses.sum(), losses.new_tensor(float(len(losses))))})
    return add_terms(parts)


def true_cells(target: Target, height: int, width: int, *, stuff: Sequence[int]) -> Tensor:
    """The segment in the middle of each cell, (h * w,) int64: IGNORE in void and in crowds. stuff: class indices."""
    rows, columns = (
        (torch.arange(cells, device=target.semantic.device) * STRIDE + STRIDE // 2).clamp(max=side - 1)
        for cells, side in zip((height, width), target.semantic.shape, strict=True)
    )
    instances = target.instances[rows[:, None], columns].long().flatten()
    classes = target.semantic[rows[:, None], columns].long().flatten()
    is_stuff = torch.isin(classes, torch.tensor(stuff, dtype=torch.int64, device=classes.device))
    return torch.where(instances >= 0, instances + FIRST_THING, classes.where(is_stuff, IGNORE))


def membership_losses(features: Tensor, segments: Tensor) -> Tensor:
    """(G,) mean cross-entropy of each segment's cells: features (n, D), segments (n,) of cells that count.

    The logits are what `pooled` propagation would say were the potential the truth: SCALE * descriptor . q_i / sqrt(D), where a
    segment's descriptor is its mean feature. Each segment counts the same, however small: things would be lost beside stuff.
    """
    if not len(segments):
        return features.sum(1)  # of no cell: (0,), with a gradient
    ids, index = segments.unique(return_inverse=True)
    own = F.one_hot(index, len(ids)).T.to(features.dtype)  # (G, n)
    evidence = pooled(own, features)
    return own @ F.cross_entropy(SCALE * evidence.T, index, reduction="none") / own.sum(1)
