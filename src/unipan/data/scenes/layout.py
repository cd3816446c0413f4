"""Where the things of a procedural scene lie and what of each is visible."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unipan.choices import Difficulty
from unipan.data.scenes.materials import LOG, SNAKE, TOOL
from unipan.data.scenes.shapes import Box, Floats, Skeleton, draw_shape, draw_stump, gap, nearest
from unipan.types import Size

HEAVY_OVERLAP_IOU = 0.2
"""Two visible boxes of one class with more than this overlap heavily."""
EMPTY_SHARE = 1 / 15
"""Of all scenes, those without a thing."""
SMALLEST_VISIBLE_PX = 24
"""At the default size. A thing of which less can be seen is left out, and with it ..."""
SMALLEST_VISIBLE_SHARE = 0.2
"""... one of which less than this share can be seen."""
SHADOW_PX = 2.5
"""Reach of the shadow that a thing casts on what lies below it, at the default size."""


class Recipe(NamedTuple):
    """What a difficulty means."""

    fewest: int
    most: int
    """Things placed in a scene that has any."""
    overlap_share: float
    """Of all scenes, those in which two boxes of one class overlap heavily."""
    companion_share: float
    """How readily, in such a scene, a thing is laid upon another of its class instead of anywhere; touching: beside one."""


RECIPES: dict[Difficulty, Recipe] = {
    "standard": Recipe(fewest=2, most=6, overlap_share=1 / 3, companion_share=0.2),
    "crowded": Recipe(fewest=5, most=9, overlap_share=4 / 5, companion_share=0.45),
    "touching": Recipe(fewest=10, most=28, overlap_share=0, companion_share=0.85),
}
"""touching: stumps alone, as cells under a microscope lie: many, small, alike, in clumps, none upon another."""
CUT_PX = 0.7
"""By how much a touching thing may cut into another, at the default size: no gap of a whole pixel is left between them."""


@dataclass(frozen=True)
class Thing:
    """A thing laid into a scene, and its distance field around it."""

    class_index: int
    skeleton: Skeleton
    box: Box
    """Where the field lies in the image: all of the thing and its shadow."""
    distance: Floats
    """Over the box, in radii: at most 1 inside the thing."""
    along: Floats
    """Over the box, in pixels: how far along the thing's stroke a pixel lies."""


def scene_scale(size: Size) -> float:
    """How many times larger things and textures are than in a scene of the default size, 128 x 160."""
    return min(size[0] / 128, size[1] / 160)


def lay_things(rng: Generator, size: Size, difficulty: Difficulty, *, lot: float) -> tuple[list[Thing], NDArray[np.int32]]:
    """Things from back to front, and for each pixel (H, W) which of them is seen there, -1 for none.

    lot: in 0..1; decides whether there are things, and whether two of their boxes overlap heavily. Layouts are drawn
    until one keeps to that.
    """
    recipe = RECIPES[difficulty]
    lay = _lay_touching if difficulty == "touching" else _lay
    if lot < EMPTY_SHARE:
        return [], np.full(size, -1, np.int32)
    overlapping = lot < EMPTY_SHARE + recipe.overlap_share
    while True:
        things, owner = _visible([_thing(*laid, size) for laid in lay(rng, size, recipe, overlapping)], size)
        if things and _overlap_heavily(things, owner) == overlapping:
            return things, owner


def _lay(rng: Generator, size: Size, recipe: Recipe, overlapping: bool) -> list[tuple[int, Skeleton]]:
    """Classes and skeletons, back to front; where no fitting place is found, a thing is left out."""
    count = int(rng.integers(recipe.fewest, recipe.most + 1))
    laid: list[tuple[int, Skeleton]] = []
    free: list[tuple[int, Skeleton]] = []  # without a companion: things are laid in pairs, as larger heaps are beyond telling
    for index in range(count):
        wanted = overlapping and (index == 1 or rng.random() < recipe.companion_share)
        below = free.pop(rng.integers(len(free))) if wanted and free else None
        class_index = below[0] if below else int(rng.choice([SNAKE, TOOL, LOG]))
        same = [skeleton for other, skeleton in laid if other == class_index]
        placed = _free_skeleton(rng, size, class_index, below[1] if below else None, [] if overlapping else same)
        if placed is not None:
            laid.append((class_index, placed))
            if below is None:
                free.append(laid[-1])
    return laid


def _lay_touching(rng: Generator, size: Size, recipe: Recipe, overlapping: bool) -> list[tuple[int, Skeleton]]:
    """Stumps, most of them pushed against one laid before; where no free place is found, one is left out."""
    scale, laid = scene_scale(size), list[Skeleton]()
    for _ in range(int(rng.integers(recipe.fewest, recipe.most + 1))):
        shape, beside = draw_stump(rng), laid and rng.random() < recipe.companion_share
        for _ in range(10):
            angle = rng.uniform(0, 2 * np.pi)
            start = rng.uniform((0, 0), size[::-1]) if not beside else laid[rng.integers(len(laid))].points.mean(0)
            steps = np.arange(1, 40) * scale if beside else [0.0]
            candidates = (shape.placed(tuple(start + step * np.array([np.cos(angle), np.sin(angle)])), scale) for step in steps)
            free = next((p for p in candidates if all(gap(p, other) > -CUT_PX * scale for other in laid)), None)
            if free is not None:
                laid.append(free)
                break
    return [(LOG, skeleton) for skeleton in laid]


def _free_skeleton(
    rng: Generator, size: Size, class_index: int, below: Skeleton | None, avoided: list[Skeleton]
) -> Skeleton | None:
    """Lay a new shape heavily upon `below`, if given; else anywhere that is clear of `avoided`; None after some attempts."""
    scale = scene_scale(size)
    height, width = size
    for _ in range(10):
        shape = draw_shape(rng, class_index)
        if below is not None:
            middle = (below.points.min(0) + below.points.max(0)) / 2
            x, y = (middle + rng.uniform(-14, 14, 2) * scale).tolist()
            placed = shape.placed((x, y), scale)
            if 0.28 < _box_iou(placed.box(size), below.box(size)) < 0.8:
                return placed
        else:
            placed = shape.placed((rng.uniform(0.03, 0.97) * width, rng.uniform(0.08, 0.97) * height), scale)
            if all(_box_iou(placed.box(size), other.box(size)) < 0.15 for other in avoided):
                return placed
    return None


def _thing(class_index: int, skeleton: Skeleton, size: Size) -> Thing:
    box = skeleton.box(size, margin=SHADOW_PX * scene_scale(size))
    distance, which = nearest(skeleton, box)
    return Thing(class_index, skeleton, box, distance, skeleton.along[which])


def _visible(things: list[Thing], size: Size) -> tuple[list[Thing], NDArray[np.int32]]:
    """Leave out what is all but hidden. Nothing else loses a pixel by that, so one pass suffices."""
    owner = _paint(things, size)
    seen = np.bincount(owner.ravel() + 1, minlength=len(things) + 1)[1:]
    smallest = SMALLEST_VISIBLE_PX * scene_scale(size) ** 2
    kept = [
        thing
        for thing, area in zip(things, seen.tolist(), strict=True)
        if area >= max(smallest, SMALLEST_VISIBLE_SHARE * np.count_nonzero(thing.distance <= 1), 1)
    ]
    return kept, owner if len(kept) == len(things) else _paint(kept, size)


def _paint(things: list[Thing], size: Size) -> NDArray[np.int32]:
    """Painter's order: the last thing that covers a pixel owns it; -1 where none does."""
    owner = np.full(size, -1, np.int32)
    for index, thing in enumerate(things):
        x1, y1, x2, y2 = thing.box
        owner[y1:y2, x1:x2][thing.distance <= 1] = index
    return owner


def _overlap_heavily(things: list[Thing], owner: NDArray[np.int32]) -> bool:
    """Whether the visible boxes of two things of one class overlap by more than HEAVY_OVERLAP_IOU."""
    boxes: list[Box] = []
    for index, thing in enumerate(things):
        x1, y1, x2, y2 = thing.box
        seen = owner[y1:y2, x1:x2] == index
        columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
        box = (x1 + int(columns[0]), y1 + int(rows[0]), x1 + int(columns[-1]) + 1, y1 + int(rows[-1]) + 1)
        same_class = (b for b, other in zip(boxes, things, strict=False) if other.class_index == thing.class_index)
        if any(_box_iou(box, other) > HEAVY_OVERLAP_IOU for other in same_class):
            return True
        boxes.append(box)
    return False


def _box_iou(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
