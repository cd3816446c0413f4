"""A panoptic map over its image: colors, outlines, labels."""

from collections.abc import Mapping
from math import isqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from unipan.class_colors import RGB
from unipan.classes import VOID_ID, ClassTable
from unipan.errors import InputError, whole_number
from unipan.ops.images import MAX_PIXELS, ImageSource
from unipan.ops.segments import index_of_ids
from unipan.types import PanopticMap
from unipan.viz.borders import borders, widened
from unipan.viz.canvas import Plates, as_pil, enlarge, line_width, readable_scale
from unipan.viz.colors import segment_colors, segment_label
from unipan.viz.labels import Caption, Written, draw_labels, lay_out_labels

OPACITY = 0.52
"""Of a segment's color over the image."""
OUTLINE_OPACITY = 0.85
MOST_LABELS = 0.25
"""Of the image that things' labels may take; of more things they are written smaller."""
BAND_PX = 2**21
"""Pixels that are drawn at once."""
HATCH_PERIOD_PX = 10
"""Distance of the diagonal lines that mark void, at line width 1."""


def overlay(
    panoptic: PanopticMap,
    image: ImageSource,
    classes: ClassTable | None = None,
    *,
    scale: int | None = 1,
    labels: bool = True,
    colors: Mapping[int, RGB] | None = None,
) -> Image.Image:
    """Draw the segments over their image: things in shades of their class's color, void grey and hatched.

    image: whatever `read_image` takes, of the map's size. classes: where colors come from, if not from the map's own table: a
    truth beside an answer is drawn in the answer's colors. scale: a whole number to enlarge by; None for what makes a small image
    readable. labels: class and score in each segment; a thing without room has them beside it. colors: of segments' ids, where
    they are not to be as in other overlays.
    """
    pil_image = as_pil(image)
    height, width = panoptic.ids.shape
    if pil_image.size != (width, height):
        raise InputError(
            f"the image is {pil_image.height}x{pil_image.width}, but its panoptic map is {height}x{width}; "
            "give the image that the map was made from."
        )
    scale = readable_scale(width, height) if scale is None else whole_number("scale", scale, lowest=1)
    if scale > (highest := max(1, isqrt(MAX_PIXELS // (height * width)))):
        raise InputError(
            f"scale is {scale}, which makes {height * scale}x{width * scale} pixels of {height}x{width}; "
            f"at most {MAX_PIXELS} are drawn: give {highest} or less."
        )
    ids = panoptic.ids.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    canvas = enlarge(pil_image, scale)
    shown = segment_colors(panoptic, classes, colors)
    drawn = Image.fromarray(_tint(np.array(canvas), ids, shown, line_width(canvas)))
    if labels:
        label_segments(drawn, panoptic, ids, shown, scale=scale)
    return drawn


def label_segments(
    drawn: Image.Image, panoptic: PanopticMap, ids: Tensor, colors: dict[int, RGB], *, scale: int
) -> dict[int, Written]:
    """Write every thing's label into it or beside it, and that of stuff where there is room; small segments choose first.

    ids: the map's, `scale` times as large. Returns what was written of which segment.
    """
    captions = [
        Caption(
            id=segment.id,
            box=(scale * segment.box[0], scale * segment.box[1], scale * segment.box[2], scale * segment.box[3]),
            texts=tuple(dict.fromkeys((segment_label(segment), segment.name))),
            color=colors[segment.id],
            always=segment.is_thing,
        )
        for segment in sorted(panoptic.segments, key=lambda segment: (not segment.is_thing, segment.area))
    ]
    short = [caption._replace(texts=caption.texts[-1:]) for caption in captions]
    plates = Plates(drawn)
    sizes = [plates.size(caption.texts[0]) for caption in captions if caption.always]
    share = sum(width * height for width, height in sizes) / (drawn.width * drawn.height)
    smaller = min(1.0, (MOST_LABELS / max(share, MOST_LABELS)) ** 0.5)
    written: dict[int, Written] = {}
    for tried in (captions, short):  # names alone, where with their scores not all find a place
        plates = Plates(drawn, scale=smaller)
        written = lay_out_labels(ids.numpy(), tried, plates)
        if all(caption.id in written for caption in captions if caption.always):
            break
    draw_labels(written, captions, plates)
    return written


def _tint(pixels: NDArray[np.uint8], ids: Tensor, colors: dict[int, RGB], line: int) -> NDArray[np.uint8]:
    """Blend colors, the hatch of void and the outlines into (H, W, 3) pixels, in place. line: a line's width here."""
    table = np.array([*colors.values(), (0, 0, 0)], dtype=np.float32)  # the last is void's, which the hatch replaces
    outline, rows = widened(borders(ids.numpy()), line // 3), max(1, BAND_PX // pixels.shape[1])
    for top in range(0, len(pixels), rows):  # floats of a large image at once would take ten times its memory
        band = slice(top, top + rows)
        before = pixels[band].astype(np.float32)
        tinted = (1 - OPACITY) * before + OPACITY * table[index_of_ids(ids[band], list(colors)).numpy()]
        void = (ids[band] == VOID_ID).numpy()
        if void.any():
            tinted[void] = _hatched(before, line, top)[void]
        opacity = outline[band, :, None] * np.float32(255) * np.float32(OUTLINE_OPACITY / 255)
        pixels[band] = ((1 - opacity) * tinted + opacity * 255).round().clip(0, 255).astype(np.uint8)
    return pixels


def _hatched(pixels: NDArray[np.float32], line: int, top: int) -> NDArray[np.float32]:
    """The image, from its row `top` on, in dim grey under thin diagonal lines."""
    grey = pixels.mean(axis=2, keepdims=True) * 0.5 + 20
    height, width = pixels.shape[:2]
    diagonal = np.arange(top, top + height)[:, None, None] + np.arange(width)[None, :, None]
    stripes = diagonal % (HATCH_PERIOD_PX * line) < line
    return np.where(stripes, grey + 45, grey).repeat(3, axis=2)
