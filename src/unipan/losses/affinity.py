"""Affinity as what the paper's abstract calls it: the probability that two cells belong to one segment.

h x w cells of one image; D features; n sampled cells.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import VOID
from unipan.losses.pixels import IGNORE
from unipan.ops.propagation import pair_log_odds
from unipan.ops.upsample import STRIDE
from unipan.types import Target, Term, add_terms

SAMPLED_CELLS = 512
"""Of one image, half of them drawn from its things (our choice); all their pairs are judged."""
NEAR = 8.0
"""In cells: a pair at this distance counts half as much as one of neighbours."""


FIRST_THING = VOID + 1
"""Thing g of an image is segment FIRST_THING + g; stuff is the segment of its class index."""


def affinity_terms(affinity: Sequence[Tensor], targets: Sequence[Target], *, stuff: Sequence[int]) -> dict[str, Term]:
    """ "affinity": the mean of `pair_loss` over images. affinity: (D, h, w) of each. stuff: class indices."""
    parts: list[dict[str, Term]] = []
    for features, target in zip(affinity, targets, strict=True):
        height, width = features.shape[-2:]
        segments, classes = true_cells(target, height, width, stuff=stuff)
        cells = sample_cells(segments, seed=target.seed)
        places = torch.stack([cells // width, cells % width], 1).to(features.dtype)
        loss = pair_loss(features.flatten(1).T[cells], segments[cells], classes[cells], places)
        parts.append({"affinity": Term(loss, loss.new_tensor(float(len(cells) > 0)))})
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


def sample_cells(segments: Tensor, *, seed: int) -> Tensor:
    """(n,) indices into segments (P,), ascending: at most half of SAMPLED_CELLS from things, the rest from all that count."""
    random = torch.Generator().manual_seed(seed)
    things, others = torch.where(segments >= FIRST_THING)[0], torch.where((segments != IGNORE) & (segments < FIRST_THING))[0]
    some = things[torch.randperm(len(things), generator=random)[: SAMPLED_CELLS // 2].to(things.device)]
    rest = others[torch.randperm(len(others), generator=random)[: SAMPLED_CELLS - len(some)].to(others.device)]
    return torch.cat([some, rest]).sort().values


def pair_loss(features: Tensor, segments: Tensor, classes: Tensor, places: Tensor) -> Tensor:
    """Binary cross-entropy of all pairs of n cells: features (n, D), segments and classes (n,), places (n, 2) in cells.

    Pairs of one segment, of two segments of one class and of two classes count the same in all, whichever there are; within each
    kind near pairs count more: 1 / (1 + distance / NEAR).
    """
    log_odds = pair_log_odds(features)
    same = segments[:, None] == segments
    rivals = (classes[:, None] == classes) & ~same
    losses = F.binary_cross_entropy_with_logits(log_odds, same.to(log_odds.dtype), reduction="none")
    near = 1 / (1 + torch.cdist(places, places) / NEAR)
    kinds = [near * kind for kind in (same, rivals, ~same & ~rivals)]
    means = [(losses * weight).sum() / weight.sum() for weight in kinds if weight.any()]
    return torch.stack(means).mean() if means else log_odds.sum()
