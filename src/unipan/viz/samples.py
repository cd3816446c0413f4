"""What training learns from, as one image: the target's own boxes over its masks and classes. H x W pixels, G things."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from unipan.classes import VOID, VOID_ID, ClassTable
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap, Target
from unipan.viz.canvas import Plates, Rectangle, as_pil, line_width, readable_scale
from unipan.viz.colors import segment_colors, segment_label
from unipan.viz.labels import Caption, draw_labels, lay_out_labels
from unipan.viz.overlay import overlay
from unipan.viz.panels import label_box, solid_box

PLATES_A_BOX = 3
"""A name is written into a box at least so many times as high."""


def draw_target(
    image: Tensor, target: Target, classes: ClassTable, *, scale: int | None = None, names: bool = True
) -> Image.Image:
    """Draw a target over its image (3, H, W) uint8: masks, class names, and each thing's box; void is hatched.

    Boxes and their classes are the target's, not read off the masks, so that a fault in either shows. scale: as in `overlay`.
    names: write classes, a thing's only where its box has room for more than the name.
    """
    scale = readable_scale(image.shape[2], image.shape[1]) if scale is None else scale
    panoptic = seen_by_training(target, classes)
    drawn = overlay(panoptic, as_pil(image), scale=scale, labels=False)
    colors = segment_colors(panoptic)
    boxes = (target.boxes * scale).tolist()
    for thing_id, box in enumerate(boxes, start=1):
        solid_box(drawn, box, colors[thing_id], line_width(drawn))
    if not names:
        return drawn
    plates = Plates(drawn)
    for thing_id, (box, label) in enumerate(zip(boxes, target.labels.tolist(), strict=True), start=1):
        if _has_room(box, plates.size(classes[label].name)):
            label_box(plates, classes[label].name, box, colors[thing_id], opacity=0.92)
    rest = [segment for segment in panoptic.segments if segment.id > len(boxes)]
    captions = [
        Caption(segment.id, _scaled(segment.box, scale), (segment_label(segment),), colors[segment.id], always=False)
        for segment in rest
    ]
    ids = panoptic.ids.repeat_interleave(scale, 0).repeat_interleave(scale, 1).numpy()
    draw_labels(lay_out_labels(ids, captions, plates), captions, plates)
    return drawn


def _has_room(box: Sequence[float], plate: tuple[float, float]) -> bool:
    """Whether a plate of that size leaves most of a box (x1, y1, x2, y2) to be seen, for it is what is to be checked."""
    width, height = plate
    return box[2] - box[0] >= width and box[3] - box[1] >= PLATES_A_BOX * height


def _scaled(box: Rectangle, scale: int) -> Rectangle:
    x1, y1, x2, y2 = box
    return scale * x1, scale * y1, scale * x2, scale * y2


def seen_by_training(target: Target, classes: ClassTable) -> PanopticMap:
    """A target as segments: thing g has the id g + 1; each class's stuff, or its crowds, are one segment after them."""
    things = len(target.labels)
    semantic = target.semantic.int()
    rest = torch.where(semantic == VOID, VOID_ID, things + 1 + semantic)
    ids = torch.where(target.instances >= 0, target.instances + 1, rest).int()
    labels = [Label(thing_id, int(label)) for thing_id, label in enumerate(target.labels.tolist(), start=1)]
    labels += [Label(things + 1 + c, c, is_crowd=is_thing) for c, is_thing in enumerate(classes.is_thing)]
    return panoptic_map(ids, labels, classes)
