"""Colors that stay: a class has its hue and those beside it that no other has, and its things have shades by their position."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from unipan.class_colors import RGB, hue_distance, shade
from unipan.classes import ClassTable
from unipan.types import Detections, PanopticMap, Segment

PLASTIC_RATIO = (0.754878, 0.569840)
"""Steps of the two-dimensional golden ratio: successive points are far apart, and so are any few of them."""

HUE_SPAN = 0.24
"""How far an instance's hue may lie from its class's, both ways together, in turns; less where another thing class is near."""
HUE_SHARE = 0.8
"""Of the way to that class's hue, which both classes share; the rest lies between them."""
SAME_HUE = 0.04
"""Thing classes whose hues are no further apart have one hue, which no span could part: Cityscapes' car, truck and motorcycle."""
LIGHTNESS_SPAN = 55.0
"""The same of its lightness (CIE L*, 0..100), which is seen without color vision too."""


def hue_span(classes: ClassTable, class_index: int) -> float:
    """HUE_SPAN, or what keeps the hue of each shade of a thing class nearer to its own class's than to any other's hue."""
    color = classes[class_index].color
    distances = [hue_distance(color, classes[index].color) for index in classes.things if index != class_index]
    return min([HUE_SPAN, *(HUE_SHARE * distance for distance in distances if distance > SAME_HUE)])


def instance_color(color: RGB, rank: int, span: float = HUE_SPAN) -> RGB:
    """The class color for the instance of that rank, 0, 1, ...: a shade near it that differs from its predecessors'.

    Of rank 0 the hue is the class's own. Which shade a rank has depends on nothing else, in any image and any run.
    span: of its class's hues; the less there is of it, the more shades differ in saturation.
    """
    hue_step, lightness_step = ((0.5 + rank * ratio) % 1.0 - 0.5 for ratio in PLASTIC_RATIO)
    return shade(color, hue_step * span, lightness_step * LIGHTNESS_SPAN, 2 * hue_step * (1 - span / HUE_SPAN))


def thing_colors(
    boxes: Sequence[Sequence[float]], class_indices: Sequence[int], classes: ClassTable, taken: Iterable[RGB] = ()
) -> list[RGB]:
    """A shade of its class's color for each thing, given out from left to right among those of its class.

    boxes: x1 y1 x2 y2 each. taken: colors that none of them may have.
    """

    def position(index: int) -> tuple[int, float, float, int]:
        x1, y1, x2, y2 = boxes[index]
        return class_indices[index], x1 + x2, y1 + y2, index

    unavailable = set(taken)
    free: dict[int, Iterator[RGB]] = {}
    colors: dict[int, RGB] = {}
    for index in sorted(range(len(boxes)), key=position):
        class_index = class_indices[index]
        if class_index not in free:
            free[class_index] = _shades(classes, class_index, unavailable)
        colors[index] = next(free[class_index])
    return [colors[index] for index in range(len(boxes))]


def segment_colors(
    panoptic: PanopticMap,
    classes: ClassTable | None = None,
    known: Mapping[int, RGB] | None = None,
    taken: Iterable[RGB] = (),
) -> dict[int, RGB]:
    """A color for each segment id: a stuff segment its class's, a thing a shade of it; void has none.

    classes: where colors come from, if not from the map's own table. known: colors that some ids have already, as where another
    map of the image shows the same things. taken: those that no other thing may have, beside the known ones.
    """
    table, known = panoptic.classes if classes is None else classes, known or {}
    colors = {segment.id: known.get(segment.id, table[segment.class_index].color) for segment in panoptic.segments}
    things = [segment for segment in panoptic.segments if segment.is_thing and segment.id not in known]
    unavailable = [*known.values(), *taken]
    shades = thing_colors([thing.box for thing in things], [thing.class_index for thing in things], table, unavailable)
    return colors | {thing.id: color for thing, color in zip(things, shades, strict=True)}


def detection_colors(admitted: Detections, classes: ClassTable, answer: Mapping[int, RGB]) -> list[RGB]:
    """For each of N admitted detections the color of its segment in the answer; without one, a shade that the answer has not.

    answer: the colors of its segments, whose ids are those of their channels: stuff first, then detections, from 1.
    """
    first, boxes, labels = len(classes.stuff) + 1, admitted.boxes.tolist(), admitted.labels.tolist()
    unseen = [n for n in range(len(labels)) if first + n not in answer]
    shades = thing_colors([boxes[n] for n in unseen], [labels[n] for n in unseen], classes, answer.values())
    colors = dict(zip(unseen, shades, strict=True))
    return [colors[n] if n in colors else answer[first + n] for n in range(len(labels))]


def segment_label(segment: Segment) -> str:
    """What a drawing says about a segment: "car 0.93" for a scored thing, the class name for all else."""
    if segment.is_crowd:
        return f"{segment.name} (crowd)"
    return f"{segment.name} {segment.score:.2f}" if segment.is_thing and segment.score < 1 else segment.name


def _shades(classes: ClassTable, class_index: int, taken: Iterable[RGB]) -> Iterator[RGB]:
    """The shades of a class's color in the order of their ranks, but for the taken ones."""
    color, span, skipped = classes[class_index].color, hue_span(classes, class_index), set(taken)
    for rank in count():
        shade_of_rank = instance_color(color, rank, span)
        if shade_of_rank in skipped:
            skipped.remove(shade_of_rank)  # once: of thousands of things, all the shades that 8 bits can tell may be taken
        else:
            yield shade_of_rank
