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


def affinity_terms(affinity: Sequence[Tensor], targets: Sequence[Target], *, stuff: Sequence[int]) -> dict[str, Term]:
    """The term "affinity": the sum of `membership_losses` over the segments of all images. affinity: (D, h, w) of each image."""
    parts: list[dict[str, Term]] = []
    for features, target in zip(affinity, targets, strict=True):
        segments = true_segments(target, stuff=stuff)
        losses = membership_losses(features, segments) if (segments != IGNORE).any() else features.flatten()[:0]
        parts.append({"affinity": Term(losses.sum(), losses.new_tensor(float(len(losses))))})
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


def membership_losses(features: Tensor, segments: Tensor) -> Tensor:
    """(G,) mean cross-entropy of each segment's pixels, each counting the same: things would be lost beside stuff.

    features: (D, h, w). segments: (H, W), 0..G-1 or IGNORE. The logits are what `pooled` propagation alone would say if the
    potential were the truth, by the share of each cell that a segment has, brought to pixels as the answer's are.
    """
    counted = segments != IGNORE
    own = F.one_hot(segments.clamp(min=0)).movedim(-1, 0).to(features.dtype) * counted  # (G, H, W)
    shares = F.avg_pool2d(own, STRIDE, ceil_mode=True, count_include_pad=False)
    evidence = pooled(shares.flatten(1), features.flatten(1).T).view_as(shares)
    logits = upsample_logits(SCALE * evidence, (segments.shape[0], segments.shape[1]))
    losses = F.cross_entropy(logits[None], segments[None], ignore_index=IGNORE, reduction="none")[0]
    return (own.flatten(1) @ losses.flatten()) / own.flatten(1).sum(1)
