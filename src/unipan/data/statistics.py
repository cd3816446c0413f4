"""What a data set's truth is like, as far as settings must fit it: things an image, their sizes, the areas of stuff.

Crowds are no things here: they are neither detected nor trained on as such.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.config import Config
from unipan.data.dataset import SourceDataset, evenly_spaced
from unipan.errors import noted
from unipan.ops.sizes import resized_size
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
    thing_ratios: tuple[float, ...]
    """Of each thing its box's height over its width."""


def image_statistics(size: Size, segments: Iterable[Segment]) -> ImageStatistics:
    """One image's part, of its true segments."""
    things, stuff, ratios = [], [], []
    for segment in segments:
        x1, y1, x2, y2 = segment.box
        if not segment.is_thing:
            stuff.append(segment.area)
        elif not segment.is_crowd:
            things.append(float((x2 - x1) * (y2 - y1)) ** 0.5)
            ratios.append((y2 - y1) / (x2 - x1))
    return ImageStatistics(size, tuple(things), tuple(stuff), tuple(ratios))


@dataclass(frozen=True)
class SetStatistics:
    """The truth of some images, or of all of a set."""

    images: tuple[ImageStatistics, ...]
    faults: tuple[str, ...] = ()
    """What is wrong with those that could not be read, and are not among these."""

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
    def thing_ratios(self) -> NDArray[np.float64]:
        """(n,) heights over widths of all things' boxes."""
        return np.array([ratio for image in self.images for ratio in image.thing_ratios], dtype=np.float64)

    @property
    def stuff_areas(self) -> NDArray[np.int64]:
        """(m,) pixels of all stuff segments, in the original images."""
        return np.array([area for image in self.images for area in image.stuff_areas], dtype=np.int64)


def statistics_of(truths: Iterable[PanopticMap]) -> SetStatistics:
    """The statistics of some true maps."""
    return SetStatistics(tuple(image_statistics((truth.ids.shape[0], truth.ids.shape[1]), truth.segments) for truth in truths))


def sampled_statistics(dataset: SourceDataset, most: int = SAMPLED_IMAGES) -> SetStatistics:
    """The statistics of the truth of at most `most` images, evenly spaced; no image is decoded for it."""
    images, faults = list[ImageStatistics](), list[str]()
    for index in evenly_spaced(len(dataset), most):
        with noted(faults):  # their time to be refused is when they are to be learnt from
            images += statistics_of([dataset.truth_of(index)]).images
    return SetStatistics(tuple(images), tuple(faults))


def setting_remarks(config: Config, statistics: SetStatistics) -> list[str]:
    """What of a set can't be learnt or found with a run's settings, a sentence each, with the option that mends it."""
    limits = {
        "model.detector.max_detections": config.model.detector.max_detections,
        "inference.max_admitted": config.inference.max_admitted,
    }
    least_stuff = "inference.min_stuff_area_px", config.inference.min_stuff_area_px
    too_small = _too_small(statistics, config)
    unread = _unread(statistics)
    return [*lost_to_limits(statistics, limits, least_stuff), *([too_small] if too_small else []), *([unread] if unread else [])]


def lost_to_limits(statistics: SetStatistics, limits: dict[str, int], least_stuff: tuple[str, int]) -> list[str]:
    """What of these images no answer can hold, whatever is learnt, likewise.

    limits: of things an image, by the names of their settings. least_stuff: the name and value of the smallest area of stuff.
    """
    parts = [*(_beyond(statistics, name, limit) for name, limit in limits.items()), _trimmed(statistics, *least_stuff)]
    return [part for part in parts if part]


def _unread(statistics: SetStatistics) -> str:
    unread = len(statistics.faults)
    if not unread:
        return ""
    return (
        f"the truth of {unread} of the {len(statistics.images) + unread} images that were looked at could not be read and counts "
        f"for nothing here: {statistics.faults[0]}"
    )


def _beyond(statistics: SetStatistics, name: str, limit: int) -> str:
    things, beyond = statistics.things_an_image, statistics.things_beyond(limit)
    if not beyond:
        return ""
    return (
        f"{beyond} of {things.sum()} true things lie beyond {name} {limit}: {(things > limit).sum()} of {len(things)} "
        f"images have more, up to {things.max()}; set --{name.replace('_', '-')} {ceil(things.max() / 10) * 10}."
    )


def _trimmed(statistics: SetStatistics, name: str, limit: int) -> str:
    small = int((statistics.stuff_areas < limit).sum())
    if not small:
        return ""
    return (
        f"the limit {name} {limit} removes {small} of {len(statistics.stuff_areas)} true stuff segments; "
        f"set --{name.replace('_', '-')} 0 to keep them."
    )


def _too_small(statistics: SetStatistics, config: Config) -> str:
    """Where most things are less than half as wide as the smallest anchor, which then overlaps none of them by much."""
    detector, short_side = config.model.detector, config.data.short_side
    anchor = FINEST_STRIDE * detector.anchor_scale
    sides = statistics.thing_sides(short_side=short_side, long_side=config.data.long_side)
    small = int((sides < anchor / 2).sum())
    if detector.kind != "two_stage" or small <= len(sides) / 2:
        return ""
    median = float(np.median(sides))
    return (
        f"{small} of {len(sides)} true things are less than half as wide as the smallest anchor ({anchor:g} px) with "
        f"{f'data.short_side {short_side}' if short_side else 'no resizing'}, half of them under {median:.3g} px: make images "
        "larger (--data.short-side, --data.long-side), "
        f"or set --model.detector.anchor-scale {max(1.0, median / FINEST_STRIDE):.2g}."
    )
