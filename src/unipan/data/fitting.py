"""Settings that follow from a data set: the size of its images, its anchors, and how many things an image may hold."""

from collections.abc import Callable
from math import ceil
from typing import NamedTuple

import numpy as np

from unipan.config import FROM_DATA, Config
from unipan.data.statistics import FINEST_STRIDE, SetStatistics
from unipan.settings import flat_settings, with_values

USUAL_ANCHOR_SCALE = 4.0
"""Of a small network: its smallest anchors are 16 px wide."""
USUAL_RATIOS = (0.5, 1.0, 2.0)
"""Of anchors where there is no thing to measure: the field's."""
LEAST_STEP = 2**0.5
"""From one ratio to the next: boxes that differ by less overlap by 0.7 and more, which is what makes an anchor positive."""
EXTREME_RATIO = 10.0
"""Of anchors, either way: few things are thinner, and all levels pay for each ratio."""


class FittingSizes(NamedTuple):
    """What such images need of a small network."""

    short_side: int
    """Pixels: half of the things are then at least as wide as the smallest anchor, between 256 and 512 px or, of smaller images,
    from their own size on."""
    most_things: int
    """In one image of the set."""
    detections: int
    """Half as many again, at least 50 and at most 500."""


def fitting_sizes(statistics: SetStatistics, *, smallest_anchor_px: float) -> FittingSizes:
    """By the median of the images' short sides and that of the things' sides."""
    short_sides = [min(image.size) for image in statistics.images]
    usual = float(np.median(short_sides)) if short_sides else 256.0
    things = statistics.thing_sides(short_side=0, long_side=0)
    needed = usual * smallest_anchor_px / max(1.0, float(np.median(things))) if len(things) else 0.0
    short_side = 32 * ceil(min(512.0, max(min(256.0, usual), needed)) / 32)
    most = int(statistics.things_an_image.max(initial=0))
    return FittingSizes(short_side, most, min(500, max(50, 10 * ceil(1.5 * most / 10))))


def fitting_anchor_scale(statistics: SetStatistics, *, short_side: int, long_side: int) -> float:
    """The usual one; where half of the things are smaller than its smallest anchors at these sizes, what fits their median."""
    sides = statistics.thing_sides(short_side=short_side, long_side=long_side)
    median = float(np.median(sides)) if len(sides) else np.inf
    return round(min(USUAL_ANCHOR_SCALE, max(1.0, median / FINEST_STRIDE)), 2)


def fitting_ratios(statistics: SetStatistics) -> tuple[float, float, float]:
    """Heights over widths of anchors: the middles of the lower, the middle and the upper third of the things' own."""
    if not len(statistics.thing_ratios):
        return USUAL_RATIOS
    limit = np.log(EXTREME_RATIO)
    low, middle, high = np.quantile(np.log(statistics.thing_ratios).clip(-limit, limit), (1 / 6, 1 / 2, 5 / 6))
    step = np.log(LEAST_STEP)
    low, middle, high = (round(float(np.exp(x)), 2) for x in (min(low, middle - step), middle, max(high, middle + step)))
    return low, middle, high


def settled(config: Config, sample: Callable[[], SetStatistics], saved: Config | None) -> Config:
    """The settings, those among them that are to follow from the data set: as in the run that goes on, else by its images.

    sample: takes the statistics, where they are needed.
    """
    left_open = _left_open(config)
    if left_open and saved:
        return with_values(config, {name: flat_settings(saved)[name] for name in left_open})
    return fitted(config, sample()) if left_open else config


def fitted(config: Config, statistics: SetStatistics) -> Config:
    """The settings, those among them that are to follow from the data by its statistics."""
    scale = config.model.detector.anchor_scale
    sizes = fitting_sizes(statistics, smallest_anchor_px=FINEST_STRIDE * (USUAL_ANCHOR_SCALE if scale == FROM_DATA else scale))
    short, long = config.data.short_side, config.data.long_side
    if short == FROM_DATA:
        short = min(sizes.short_side, long) if long > 0 else sizes.short_side
    long = 2 * short if long == FROM_DATA else long
    values = {
        "data.short_side": short,
        "data.long_side": long,
        "model.detector.anchor_scale": fitting_anchor_scale(statistics, short_side=short, long_side=long),
        "model.detector.aspect_ratios": fitting_ratios(statistics),
        "model.detector.proposals_before_nms": 4 * sizes.detections,
        "model.detector.proposals": 2 * sizes.detections,
        "model.detector.max_detections": sizes.detections,
        "train.max_admitted": min(100, max(20, sizes.most_things)),
        "inference.max_admitted": sizes.detections,
    }
    return with_values(config, {name: values[name] for name in _left_open(config)})


def _left_open(config: Config) -> list[str]:
    return [name for name, value in flat_settings(config).items() if value in (FROM_DATA, (FROM_DATA,))]
