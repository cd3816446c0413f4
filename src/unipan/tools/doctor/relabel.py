"""Mend one image's labels where that needs no judgement. H x W pixels."""

from itertools import count

from torch import Tensor

from unipan.classes import VOID_ID, ClassTable
from unipan.ops.segments import Label, joined_stuff, panoptic_map
from unipan.tools.doctor.segments import Categories, ListedSegment, has_things
from unipan.types import PanopticMap


def renumbered(ids: Tensor, listed: tuple[ListedSegment, ...]) -> tuple[Tensor, tuple[ListedSegment, ...]]:
    """Ids (H, W) and segments in which a segment with the id 0 has a free one.

    Only where its area is that of all zeros: otherwise some of them are void, nobody knows which, and it is left out.
    """
    zero = next((segment for segment in listed if segment.id == VOID_ID), None)
    if zero is None:
        return ids, listed
    others, zeros = tuple(segment for segment in listed if segment is not zero), ids == VOID_ID
    if zero.area != zeros.sum().item():
        return ids, others
    taken = {segment.id for segment in others} | set(ids.unique().tolist())
    free = next(id for id in count(1) if id not in taken)
    return ids.masked_fill(zeros, free), (*others, zero._replace(id=free))


def relabelled(ids: Tensor, listed: tuple[ListedSegment, ...], categories: Categories) -> PanopticMap:
    """What ids (H, W) and a `segments_info` are, as far as they agree.

    Ids that are not listed and segments of unknown categories become void; those without a pixel are left out; an image's stuff
    of one class becomes one segment, under the id of its first, unless no class is a thing; areas and boxes are counted.
    """
    ids, listed = renumbered(ids, listed)
    classes, index_of = ClassTable(tuple(categories.values())), {id: index for index, id in enumerate(categories)}
    known = [segment for segment in listed if segment.category_id in categories]
    labels = [Label(segment.id, index_of[segment.category_id], segment.is_crowd) for segment in known]
    panoptic = panoptic_map(ids, labels, classes)
    return joined_stuff(panoptic, classes) if has_things(categories) else panoptic
