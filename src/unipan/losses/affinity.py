"""Affinity as what the paper's abstract calls it: the probability of belonging to one segment.

h x w cells of one image, n of them in true segments, G of these; D features.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import VOID
from unipan.losses.pixels import IGNORE
from unipan.ops.propagation import affinity_log_odds
from unipan.ops.upsample import STRIDE
from unipan.types import Target, Term, add_terms

FIRST_THING = VOID + 1
"""Thing g of an image is segment FIRST_THING + g; stuff is the segment of its class index."""


def affinity_terms(affinity: Sequence[Tensor], targets: Sequence[Target], *, stuff: Sequence[int]) -> dict[str, Term]:
    """ "affinity": the mean of `membership_loss` over images. affinity: (D, h, w) of each. stuff: class indices."""
    parts: list[dict[str, Term]] = []
    for features, target in zip(affinity, targets, strict=True):
        segments, classes = true_cells(target, features.shape[-2], features.shape[-1], stuff=stuff)
        counted = segments != IGNORE
        some = counted.any()
        cells = features.flatten(1).T[counted]
        loss = membership_loss(cells, segments[counted], classes[counted]) if some else cells.sum()
        parts.append({"affinity": Term(loss, some.to(loss.dtype))})
    return add_terms(parts)


def true_cells(target: Target, height: int, width: int, *, stuff: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The segment and the class in the middle of each cell, both (h * w,) int64; segment IGNORE in void and in crowds."""
    rows = torch.arange(height, device=target.semantic.device) * STRIDE + STRIDE // 2
    columns = torch.arange(width, device=target.semantic.device) * STRIDE + STRIDE // 2
    rows, columns = (x.clamp(max=side - 1) for x, side in zip((rows, columns), target.semantic.shape, strict=True))
    instances = target.instances[rows[:, None], columns].long().flatten()
    classes = target.semantic[rows[:, None], columns].long().flatten()
    is_stuff = torch.isin(classes, torch.tensor(stuff, dtype=torch.int64, device=classes.device))
    return torch.where(instances >= 0, instances + FIRST_THING, classes.where(is_stuff, IGNORE)), classes


def membership_loss(features: Tensor, segments: Tensor, classes: Tensor) -> Tensor:
    """Does a cell belong to a segment, by its feature and the segment's mean feature? Binary cross-entropy of each with each.

    features (n, D), segments and classes (n,): cells that count. Every segment weighs the same, and so do its own cells, those of
    its rivals (other segments of its class) and all others, as far as there are any.
    """
    ids, index = segments.unique(return_inverse=True)
    own = F.one_hot(index, len(ids)).to(features.dtype)  # (n, G)
    log_odds = affinity_log_odds(features, own.T @ features / own.sum(0)[:, None])
    losses = F.binary_cross_entropy_with_logits(log_odds, own, reduction="none")
    class_of = torch.zeros_like(ids).index_copy(0, index, classes)
    same_class = (classes[:, None] == class_of).to(own.dtype)
    kinds = torch.stack([own, same_class - own, 1 - same_class])  # (3, n, G)
    cells = kinds.sum(1)
    means = (losses * kinds).sum(1) / cells.clamp(min=1)
    return means.sum() / (cells > 0).sum()
