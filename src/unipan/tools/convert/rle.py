"""COCO's run lengths: a mask (H, W) column by column, as the lengths of its runs, which begin with background."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unipan.errors import InputError
from unipan.types import Size


def mask_from_counts(counts: Sequence[int] | str, size: Size) -> NDArray[np.bool_]:
    """(H, W) mask. counts: run lengths, or COCO's compressed text of them."""
    lengths = _lengths_from_text(counts) if isinstance(counts, str) else counts
    height, width = size
    if min(lengths, default=0) < 0 or sum(lengths) != height * width:  # Python's numbers, which are never too large to add
        raise InputError(
            f"the runs of the RLE add up to {sum(lengths)} pixels, but its mask of {width}x{height} has {height * width}; "
            "export it again."
        )
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def _lengths_from_text(text: str) -> list[int]:
    """Each character holds five bits, lowest first, and a mark that more follow.

    From the fourth on, lengths are given as differences to the last but one.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        piece = ord(character) - 48
        if not 0 <= piece < 64:
            raise InputError(f"the RLE's text holds {character!r}, which no compressed RLE does; export it again.")
        value |= (piece & 31) << shift
        shift += 5
        if piece & 32:
            continue
        if piece & 16:
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    return lengths
