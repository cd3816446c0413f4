"""What a data set's truth is like, as far as settings must fit it: things an image, their sizes, the areas of stuff.

Crowds are no things here: they are neither detected nor trained on as such.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.data.dataset import PanopticDataset
from unipan.data.transforms import resized_size
from unipan.errors import InputError
from unipan.types import PanopticMap, Segment, Size

SAMPLED_IMAGES = 100
"""Of a large data set so many are looked at, evenly spaced."""

FINEST_STRIDE = 4
"""Of the feature pyramid: the smallest anchors have so many pixels a side, times the detector's anchor scale."""


class ImageStatistics(NamedTuple):
    """One image's part."""

    size: Size
    """Of the original image, as all pixels here."""
    thing_sides: tuple[float, ...]
    """Of each thing the square root of its box's area."""
    stuff_areas: tuple[int, ...]


def image_statistics(size: Size, segments: Iterable[Segment]) -> ImageStatistics:
    """One image's part, of its true segments."""
    things, stuff = [], []
    for segment in segments:
        x1, y1, x2, y2 = segment.box
        if not segment.is_thing:
            stuff.append(segment.area)
        elif not segment.is_crowd:
            things.append(float((x2 - x1) * (y2 - y1)) ** 0.5)
    return ImageStatistics(size, tuple(things), tuple(stuff))


@dataclass(frozen=True)
class SetStatistics:
    """The truth of some images, or of all of a set."""

    images: tuple[ImageStatistics, ...]

    @property
    def things_an_image(self) -> NDArray[np.int64]:
        """(i,) things of each image."""
        return np.array([len(image.thing_sides) for image in self.images], dtype=np.int64)

    def things_beyond(self, limit: int) -> int:
        """True things that can't be found where an image may have at most `limit` of them."""
        return int((self.things_an_image - limit).clip(min=0).sum())

    def thing_sides(self, *, short_side: int, long_side: int) -> NDArray[np.float64]:
        """(n,) sides in pixels of all things after resizing as `resized_size` does; 0 and 0 for those of the original images."""
        sides = []
        for image in self.images:
            height, _ = resized_size(image.size, short_side=short_side, long_side=long_side)
            sides += [side * height / image.size[0] for side in image.thing_sides]
        return np.array(sides, dtype=np.float64)

    @property
    def stuff_areas(self) -> NDArray[np.int64]:
        """(m,) pixels of all stuff segments, in the original images."""
        return np.array([area for image in self.images for area in image.stuff_areas], dtype=np.int64)


def statistics_of(truths: Iterable[PanopticMap]) -> SetStatistics:
    """The statistics of some true maps."""
    return SetStatistics(tuple(image_statistics((truth.ids.shape[0], truth.ids.shape[1]), truth.segments) for truth in truths))


def sampled_statistics(dataset: PanopticDataset, most: int = SAMPLED_IMAGES) -> SetStatistics:
    """The statistics of at most `most` images, evenly spaced, which are read for it; one that can't be read is passed over."""

    def truths() -> Iterator[PanopticMap]:
        for index in range(number):
            with suppress(InputError):  # its time to be named is when it is to be learnt from
                yield dataset[index * len(dataset) // number].truth

    number = min(most, len(dataset))
    return statistics_of(truths())


def lost_by_settings(
    statistics: SetStatistics,
    *,
    limits: dict[str, int],
    min_stuff_area_px: int,
    short_side: int,
    long_side: int,
    smallest_anchor_px: float,
) -> list[str]:
    """What of these images can't be learnt or found with some settings, a sentence each, with the option that mends it.

    limits: of things an image, by the names of their settings. smallest_anchor_px: its side; 0 for a detector without anchors.
    """
    said = lost_to_limits(statistics, limits=limits, least_stuff=("inference.min_stuff_area_px", min_stuff_area_px))
    sides = statistics.thing_sides(short_side=short_side, long_side=long_side)
    too_small = int((sides < smallest_anchor_px / 2).sum())
    if too_small > len(sides) / 2:
        median = float(np.median(sides))
        resizing = f"data.short_side {short_side}" if short_side else "no resizing"
        said.append(
            f"{too_small} of {len(sides)} true things are less than half as wide as the smallest anchor "
            f"({smallest_anchor_px:g} px) with {resizing}, half of them under {median:.3g} px: "
            "make images larger (--data.short-side, --data.long-side), "
            f"or set --model.detector.anchor-scale {max(1.0, median / FINEST_STRIDE):.2g}."
        )
    return said


def lost_to_limits(statistics: SetStatistics, *, limits: dict[str, int], least_stuff: tuple[str, int]) -> list[str]:
    """What of these images no answer can hold, whatever is learnt; as `lost_by_settings`.

    limits: of things an image, by the names of their settings. least_stuff: the name and value of the smallest area of stuff.
    """
    things, stuff = statistics.things_an_image, statistics.stuff_areas
    said = []
    for name, limit in limits.items():
        if beyond := statistics.things_beyond(limit):
            said.append(
                f"{beyond} of {things.sum()} true things lie beyond {name} {limit}: {(things > limit).sum()} of {len(things)} "
                f"images have more, up to {things.max()}; set {_option(name)} {ceil(things.max() / 10) * 10}."
            )
    name, min_area_px = least_stuff
    if small_stuff := int((stuff < min_area_px).sum()):
        said.append(
            f"the limit {name} {min_area_px} removes {small_stuff} of {len(stuff)} true stuff segments; set {_option(name)} 0 "
            "to keep them."
        )
    return said


def _option(setting: str) -> str:
    return "--" + setting.replace("_", "-")
