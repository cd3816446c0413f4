"""Colors that stay: a class always has its hue, and the instances of one class are told apart by their position in the image."""

from collections.abc import Sequence

from unipan.class_colors import RGB, shade
from unipan.classes import ClassTable
from unipan.types import PanopticMap, Segment

PLASTIC_RATIO = (0.754878, 0.569840)
"""Steps of the two-dimensional golden ratio: successive points are far apart, and so are any few of them."""

HUE_SPAN = 0.24
"""How far an instance's hue may lie from its class's, both ways together, in turns."""
LIGHTNESS_SPAN = 55.0
"""The same of its lightness (CIE L*, 0..100), which is seen without color vision too."""


def instance_color(color: RGB, rank: int) -> RGB:
    """The class color for the instance of that rank, 0, 1, ...: a shade near it that differs from its predecessors'.

    Of rank 0 the hue is the class's own. Which shade a rank has depends on nothing else, in any image and any run.
    """
    hue_step, lightness_step = ((0.5 + rank * ratio) % 1.0 - 0.5 for ratio in PLASTIC_RATIO)
    return shade(color, hue_step * HUE_SPAN, lightness_step * LIGHTNESS_SPAN)


def instance_ranks(boxes: Sequence[Sequence[float]], class_indices: Sequence[int]) -> list[int]:
    """Each box's rank from left to right among those of its class, so that truth and answer mostly agree in color.

    boxes: x1 y1 x2 y2 each.
    """

    def position(index: int) -> tuple[int, float, float, int]:
        x1, y1, x2, y2 = boxes[index]
        return class_indices[index], x1 + x2, y1 + y2, index

    seen: dict[int, int] = {}
    ranks = [0] * len(boxes)
    for index in sorted(range(len(boxes)), key=position):
        ranks[index] = seen.get(class_indices[index], 0)
        seen[class_indices[index]] = ranks[index] + 1
    return ranks


def segment_colors(panoptic: PanopticMap, classes: ClassTable | None = None) -> dict[int, RGB]:
    """A color for each segment id: a stuff segment its class's, a thing a shade of it; void has none.

    classes: where colors come from, if not from the map's own table.
    """
    table = panoptic.classes if classes is None else classes
    things = [segment for segment in panoptic.segments if segment.is_thing]
    ranks = instance_ranks([thing.box for thing in things], [thing.class_index for thing in things])
    colors = {segment.id: table[segment.class_index].color for segment in panoptic.segments}
    colors |= {thing.id: instance_color(colors[thing.id], rank) for thing, rank in zip(things, ranks, strict=True)}
    return colors


def segment_label(segment: Segment) -> str:
    """What a drawing says about a segment: "car 0.93" for a scored thing, the class name for all else."""
    if segment.is_crowd:
        return f"{segment.name} (crowd)"
    return f"{segment.name} {segment.score:.2f}" if segment.is_thing and segment.score < 1 else segment.name
