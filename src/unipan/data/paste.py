"""Panoptic copy-paste: things of one training image laid onto another. After Ghiasi et al., "Simple Copy-Paste", CVPR 2021.

One id map holds the whole truth: image and ids of a thing are laid down together; boxes, masks and the semantic map follow.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unipan.types import PanopticMap

SHARE = 0.5
"""Of the giver's things, each with this chance (our choice; the authors draw a random subset)."""


def paste_things(
    image: Tensor, truth: PanopticMap, giver_image: Tensor, giver: PanopticMap, random: np.random.Generator
) -> tuple[Tensor, PanopticMap]:
    """Some of the giver's things, but no crowds, in front of all that an image shows; they keep their places among each other.

    image, giver_image: (3, H, W) uint8, of any two sizes: the smaller one lies anywhere inside the larger, side by side. Areas
    and boxes of segments are not counted anew, and those that are hidden now stay in the list. Changes neither input.
    """
    rows, giver_rows = _overlap(truth.ids.shape[0], giver.ids.shape[0], random)
    columns, giver_columns = _overlap(truth.ids.shape[1], giver.ids.shape[1], random)
    things = [segment for segment in giver.segments if segment.is_instance and random.random() < SHARE]
    given = giver.ids[giver_rows, giver_columns]
    first = 1 + max((segment.id for segment in truth.segments), default=0)
    image, ids, segments = image.clone(), truth.ids.clone(), list(truth.segments)
    pasted = torch.zeros_like(given, dtype=torch.bool)
    for number, thing in enumerate(things):
        own = given == thing.id
        if own.any():
            pasted |= own
            ids[rows, columns][own] = first + number
            segments.append(replace(thing, id=first + number))
    image[:, rows, columns][:, pasted] = giver_image[:, giver_rows, giver_columns][:, pasted]
    return image, replace(truth, ids=ids, segments=tuple(segments))


def _overlap(length: int, giver: int, random: np.random.Generator) -> tuple[slice, slice]:
    """Along one side, where the shorter of two lies inside the longer: the part of each that the two share."""
    shared = min(length, giver)
    start = int(random.integers(0, max(length, giver) - shared + 1))
    whole, part = slice(0, shared), slice(start, start + shared)
    return (part, whole) if length > giver else (whole, part)
