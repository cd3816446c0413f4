"""Which segment does a pixel belong to, by its affinity alone? The panoptic loss asks that of the affinity only where boxes fail.

H x W pixels and h x w cells of one image, G true segments in it; D features.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import VOID
from unipan.losses.pixels import IGNORE
from unipan.ops.propagation import pooled
from unipan.ops.upsample import STRIDE, upsample_logits
from unipan.terms import Term, add_terms
from unipan.types import Target

SCALE = 10.0
"""Of the evidence, as the unified head's scale starts: without it no softmax over means could be confident."""
NEAR_PX = 2 * STRIDE
"""How far from a small segment what surrounds it still counts as much as it does."""


def affinity_terms(
    affinity: Sequence[Tensor],
    targets: Sequence[Target],
    upsampling: Sequence[Tensor | None],
    *,
    stuff: Sequence[int],
    among_all: bool,
    rivals: bool,
) -> dict[str, Term]:
    """The terms that are switched on: "affinity" (among all segments) and "affinity_rivals" (among the things of one class).

    Each is an image's mean, counted once for each of its segments. affinity: (D, h, w) of each image; upsampling as in `Outputs`.
    """
    if not (among_all or rivals):
        return {}
    names = [name for name, wanted in (("affinity", among_all), ("affinity_rivals", rivals)) if wanted]
    parts: list[dict[str, Term]] = []
    for features, shares, target in zip(affinity, upsampling, targets, strict=True):
        segments = true_segments(target, stuff=stuff)
        number = (segments.max() + 1).clamp(min=0).to(features.dtype)
        losses = dict.fromkeys(names, features[:0].sum())  # of nothing, but in the graph
        if number:
            logits = segment_logits(features, segments, shares)
            weights = pixel_weights(segments).to(logits.dtype)  # fp16 keeps 6 bits of 1 over a large area
            if among_all:
                by_pixel = F.cross_entropy(logits[None], segments[None], ignore_index=IGNORE, reduction="none")[0]
                losses["affinity"] = _mean(by_pixel, weights)
            if rivals:
                losses["affinity_rivals"] = rival_loss(logits, segments, thing_classes(segments, target), weights)
        parts.append({name: Term(number * loss, number) for name, loss in losses.items()})
    return add_terms(parts)


def true_segments(target: Target, *, stuff: Sequence[int]) -> Tensor:
    """(H, W) int64: which of the image's G segments, things and stuff, each pixel is of; IGNORE in void and in crowds."""
    classes, instances = target.semantic.long(), target.instances.long()
    is_stuff = torch.isin(classes, torch.tensor(stuff, dtype=torch.int64, device=classes.device))
    named = torch.where(instances >= 0, VOID + 1 + instances, classes.where(is_stuff, IGNORE))
    counted = named != IGNORE
    index = torch.full_like(named, IGNORE)
    index[counted] = named[counted].unique(return_inverse=True)[1]
    return index


def thing_classes(segments: Tensor, target: Target) -> Tensor:
    """(G,) int64: the class of each segment that is a thing; IGNORE for stuff. segments: those of `true_segments`."""
    classes = torch.full((int(segments.max()) + 1,), IGNORE, device=segments.device)
    things = (segments != IGNORE) & (target.instances >= 0)
    classes[segments[things]] = target.semantic.long()[things]
    return classes


def segment_logits(features: Tensor, segments: Tensor, upsampling: Tensor | None = None) -> Tensor:
    """(G, H, W): what `pooled` propagation alone would say if the potential were the truth.

    features: (D, h, w). segments: (H, W), 0..G-1 or IGNORE, G at least 1. The potential is the share of each cell that a segment
    has; the logits are brought to pixels as the answer's are.
    """
    every = torch.arange(int(segments.max()) + 1, device=segments.device)
    own = (segments == every[:, None, None]).to(features.dtype)  # (G, H, W)
    shares = F.avg_pool2d(own, STRIDE, ceil_mode=True, count_include_pad=False)
    evidence = pooled(shares.flatten(1), features.flatten(1).T).view_as(shares)
    return upsample_logits(SCALE * evidence, (segments.shape[0], segments.shape[1]), upsampling)


def rival_loss(logits: Tensor, segments: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Mean cross-entropy of the things' pixels among the things of their own class; 0 where no class has two.

    logits: (G, H, W). segments, weights: (H, W). classes: (G,) as by `thing_classes`. What surrounds a thing is of other classes
    mostly, so among all segments alone little is asked of what tells two of one class apart, which no other head can say.
    """
    losses, counted = [logits.new_zeros(0)], [weights.new_zeros(0)]
    kinds, members = classes[classes != IGNORE].unique(return_counts=True)
    for kind in kinds[members > 1]:
        among = torch.where(classes == kind)[0]
        pixels = torch.isin(segments, among)
        own = torch.searchsorted(among, segments[pixels])
        losses.append(F.cross_entropy(logits[among][:, pixels].T, own, reduction="none"))
        counted.append(weights[pixels])
    return _mean(torch.cat(losses), torch.cat(counted))


def _mean(losses: Tensor, weights: Tensor) -> Tensor:
    """Weighted; 0 where there is nothing to weigh."""
    return (weights * losses).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)


def pixel_weights(segments: Tensor) -> Tensor:
    """(H, W) float32: 1 over the area of the smallest segment within NEAR_PX rows and columns; 0 where not counted.

    Counted all alike, the pixels of small things would be lost beside stuff. Weighed by their own segment's area, a pixel of a
    small thing would count a hundred times as much as one of the stuff beside it, and what is in doubt between the two would go
    to the thing: things grow. So beside one another both count the same.
    """
    counted = segments != IGNORE
    areas = torch.bincount(segments[counted])
    own = torch.zeros(segments.shape, device=segments.device)
    own[counted] = 1 / areas[segments[counted]]
    rows = F.max_pool2d(own[None, None], (2 * NEAR_PX + 1, 1), stride=1, padding=(NEAR_PX, 0))
    return F.max_pool2d(rows, (1, 2 * NEAR_PX + 1), stride=1, padding=(0, NEAR_PX))[0, 0] * counted
