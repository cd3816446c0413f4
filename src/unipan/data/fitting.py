"""Settings that follow from a data set: the size of its images, and how many things one may hold."""

from math import ceil
from typing import NamedTuple

import numpy as np

from unipan.config import FROM_DATA, Config
from unipan.data.dataset import PanopticDataset
from unipan.data.statistics import FINEST_STRIDE, SetStatistics, sampled_statistics
from unipan.settings import flat_settings, with_values


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


def settled(config: Config, dataset: PanopticDataset, saved: Config | None) -> Config:
    """The settings, those among them that are to follow from the data set: as in the run that goes on, else by its images."""
    left_open = _left_open(config)
    if left_open and saved:
        return with_values(config, {name: flat_settings(saved)[name] for name in left_open})
    return fitted(config, sampled_statistics(dataset)) if left_open else config


def fitted(config: Config, statistics: SetStatistics) -> Config:
    """The settings, those among them that are to follow from the data by its statistics."""
    sizes = fitting_sizes(statistics, smallest_anchor_px=FINEST_STRIDE * config.model.detector.anchor_scale)
    short, long = config.data.short_side, config.data.long_side
    if short == FROM_DATA:
        short = min(sizes.short_side, long) if long > 0 else sizes.short_side
    values = {
        "data.short_side": short,
        "data.long_side": 2 * short,
        "model.detector.proposals_before_nms": 4 * sizes.detections,
        "model.detector.proposals": 2 * sizes.detections,
        "model.detector.max_detections": sizes.detections,
        "train.max_admitted": min(100, max(20, sizes.most_things)),
        "inference.max_admitted": sizes.detections,
    }
    return with_values(config, {name: values[name] for name in _left_open(config)})


def _left_open(config: Config) -> list[str]:
    return [name for name, value in flat_settings(config).items() if value == FROM_DATA]
