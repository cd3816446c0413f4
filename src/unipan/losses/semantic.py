"""The semantic head's losses, at image resolution. Crowds count: their class is in the semantic map like any other."""

from collections.abc import Sequence

from torch import Tensor

from unipan.classes import VOID
from unipan.losses.pixels import IGNORE, pixel_cross_entropy, pixel_lovasz
from unipan.ops.upsample import upsample_logits
from unipan.terms import Term, add_terms
from unipan.types import Target


def semantic_terms(
    semantic: Sequence[Tensor], targets: Sequence[Target], *, cross_entropy: bool, lovasz: bool, group: int
) -> dict[str, Term]:
    """The terms that are switched on: "semantic" (over pixels) and "semantic_lovasz" (over groups of images).

    semantic: (C, h, w) logits of each image. One Lovasz-softmax is taken over each `group` images in their order, the last group
    maybe smaller: the paper takes it over the 8 crops of a GPU (section B).
    """
    if not (cross_entropy or lovasz):
        return {}
    channels = [target.semantic.long().masked_fill(target.semantic == VOID, IGNORE) for target in targets]
    logits = [upsample_logits(cells, t.semantic.shape) for cells, t in zip(semantic, targets, strict=True)]
    parts: list[dict[str, Term]] = []
    if cross_entropy:
        parts += [{"semantic": pixel_cross_entropy(*image)} for image in zip(logits, channels, strict=True)]
    if lovasz:
        starts = range(0, len(logits), group)
        parts += [{"semantic_lovasz": pixel_lovasz(logits[i : i + group], channels[i : i + group])} for i in starts]
    return add_terms(parts)
