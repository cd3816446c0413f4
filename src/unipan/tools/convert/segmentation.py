"""The segmentation of a COCO annotation, in each form that tools write, to pixels. H x W pixels of an image."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from unipan.errors import InputError, noted
from unipan.json_values import read_as
from unipan.tools.convert.rasterize import Patch, Points, check_points, polygon_patch, union
from unipan.tools.convert.rle import patch_from_counts
from unipan.types import Size


@dataclass(slots=True)
class Rle:
    """Run lengths, as a list or as COCO's text."""

    counts: str | list[int]
    size: tuple[int, int]


@dataclass(slots=True)
class Point:
    """A corner."""

    x: float
    y: float


Outline = list[float] | list[tuple[float, float]] | list[tuple[tuple[float, float]]] | list[Point]
"""x1, y1, x2, y2, ...; [x, y] pairs; OpenCV's [[x, y]]; {"x": .., "y": ..}."""
Part = Rle | Outline

PART: TypeAdapter[Part] = TypeAdapter(Annotated[Part, Field(union_mode="left_to_right")])


def check_pixels(segmentations: Iterable[Any]) -> None:
    """Refuse polygons that are all given as shares of the image's size. Raises: InputError."""
    shares = False
    for number in _coordinates(list(segmentations)):
        if not 0 <= number <= 1:
            return
        shares |= number not in (0, 1)
    if shares:
        raise InputError(
            "all coordinates of its polygons lie within 0 and 1; pixels are expected. Multiply each x by the width of its image "
            "and each y by the height."
        )


def _coordinates(value: Any) -> Iterator[float]:
    """The numbers of outlines in any form, as text too; an RLE, which is of pixels, is none within 0 and 1."""
    match value:
        case int() | float():
            yield value
        case str():
            number = read_as(float, value)
            yield inf if number is None else number
        case list() | tuple():
            for item in value:
                yield from _coordinates(item)
        case {"x": x, "y": y}:
            yield from _coordinates([x, y])
        case dict():
            yield inf


def segmentation_patch(segmentation: Any, size: Size, *, clip: bool, where: str, faults: list[str]) -> Patch | None:
    """The pixels of an annotation's parts together; a part that can't be used goes to `faults`. None: no part is left.

    where: the annotation in words.
    """
    patches: list[Patch] = []
    with noted(faults, where):
        parts = _parts(segmentation)
        for position, part in enumerate(parts, 1):
            with noted(faults, where if len(parts) == 1 else f"{where}, part {position} of {len(parts)}"):
                patches.append(_part_patch(part, size, clip=clip))
    return union(patches) if patches else None


def _parts(segmentation: Any) -> list[Any]:
    """Its parts, which may be of different forms; one alone needs no list around it."""
    if segmentation is None or segmentation in ([], {}, ""):
        raise InputError("it has no segmentation (a box alone is not enough); remove it or give it polygons or an RLE.")
    try:
        return [PART.validate_python(segmentation)]
    except ValidationError:
        return segmentation if isinstance(segmentation, list) else [segmentation]


def _part_patch(part: Any, size: Size, *, clip: bool) -> Patch:
    try:
        valid = PART.validate_python(part)
    except ValidationError as error:
        text = repr(part)
        raise InputError(
            f"{text if len(text) < 60 else text[:57] + '...'} is no segmentation; expected polygons [[x1, y1, x2, y2, ...], ...] "
            'or an RLE {"counts": ..., "size": [height, width]}. Write it so, or remove it.'
        ) from error
    if isinstance(valid, Rle):
        if valid.size != size:
            raise InputError(
                f"its mask is {valid.size[1]}x{valid.size[0]} (width x height), its image {size[1]}x{size[0]}; "
                "both must be of one size."
            )
        return patch_from_counts(valid.counts, size)
    points = _corners(valid)
    check_points(points, size, clip=clip)
    return polygon_patch(points, size)


def _corners(outline: Outline) -> Points:
    """(k, 2) corners."""
    numbers: list[float] = []
    for item in outline:
        match item:
            case Point(x, y) | (x, y) | ((x, y),):
                numbers += (x, y)
            case _:
                numbers.append(item)
    if len(numbers) % 2 or len(numbers) < 6:
        raise InputError(
            f"a polygon of {len(numbers)} numbers came; a polygon is x, y pairs of at least 3 points. Remove or mend it."
        )
    return np.array(numbers, dtype=np.float64).reshape(-1, 2)
