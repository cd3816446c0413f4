"""A panoptic map over its image: colors, outlines, labels."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from unipan.classes import VOID_ID, ClassTable
from unipan.errors import InputError
from unipan.ops.images import ImageSource
from unipan.ops.segments import index_of_ids
from unipan.types import PanopticMap
from unipan.viz.canvas import Plates, as_pil, enlarge, line_width, readable_scale
from unipan.viz.colors import RGB, segment_colors, segment_label
from unipan.viz.labels import borders, draw_labels, widened

OPACITY = 0.52
"""Of a segment's color over the image."""
OUTLINE_OPACITY = 0.85
BAND_PX = 2**21
"""Pixels that are drawn at once."""
HATCH_PERIOD_PX = 10
"""Distance of the diagonal lines that mark void, at line width 1."""


def overlay(
    panoptic: PanopticMap, image: ImageSource, classes: ClassTable | None = None, *, scale: int | None = None, labels: bool = True
) -> Image.Image:
    """Draw the segments over their image: things in shades of their class's color, void grey and hatched.

    image: whatever `read_image` takes, of the map's size. classes: where colors come from, if not from the map's own table: a
    truth beside an answer is drawn in the answer's colors. scale: a whole number to enlarge by; None enlarges small images only.
    """
    pil_image = as_pil(image)
    height, width = panoptic.ids.shape
    if pil_image.size != (width, height):
        raise InputError(
            f"the image is {pil_image.height}x{pil_image.width}, but its panoptic map is {height}x{width}; "
            "give the image that the map was made from."
        )
    scale = readable_scale(width, height) if scale is None else scale
    ids = panoptic.ids.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    canvas = enlarge(pil_image, scale)
    drawn = Image.fromarray(_tint(np.array(canvas), ids, segment_colors(panoptic, classes), line_width(canvas)))
    if labels:
        by_area = sorted(panoptic.segments, key=lambda segment: segment.area)
        boxes = ((scale * x1, scale * y1, scale * x2, scale * y2) for x1, y1, x2, y2 in (segment.box for segment in by_area))
        texts = ((segment.id, box, segment_label(segment)) for segment, box in zip(by_area, boxes, strict=True))
        draw_labels(ids.numpy(), texts, Plates(drawn))
    return drawn


def _tint(pixels: NDArray[np.uint8], ids: Tensor, colors: dict[int, RGB], line: int) -> NDArray[np.uint8]:
    """Blend colors, the hatch of void and the outlines into (H, W, 3) pixels, in place. `line` is the outline's width."""
    table = np.array([*colors.values(), (0, 0, 0)], dtype=np.float32)  # the last is void's, which the hatch replaces
    outline, rows = widened(borders(ids.numpy()), line // 2), max(1, BAND_PX // pixels.shape[1])
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
