"""One training image: a sample seen through its augmentation, maybe with things of another one in front. H x W pixels."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from torch import Tensor

from unipan.data.paste import paste_things
from unipan.data.targets import make_target
from unipan.data.transforms import Augmentation, augment
from unipan.types import PanopticMap, Sample, Target


class TrainingItem(NamedTuple):
    """One training image."""

    image: Tensor  # (3, H, W) uint8 RGB
    target: Target
    name: str
    skipped: tuple[str, ...] = ()  # what was wrong with the faulty samples in whose place this one came


def training_item(
    sample: Sample,
    augmentation: Augmentation,
    random: np.random.Generator,
    *,
    min_thing_px: int,
    seed: int = 0,
    giver: Sample | None = None,
) -> TrainingItem:
    """Augment a sample and derive its target, which bears the `seed`. giver: another one, of which things are laid onto it."""
    image, truth = _view(sample, augmentation, random)
    if giver:
        image, truth = paste_things(image, truth, *_view(giver, augmentation, random), random)
    target = make_target(truth, min_thing_px=min_thing_px, seed=seed)
    return TrainingItem(image, target, sample.file_name)


def _view(sample: Sample, augmentation: Augmentation, random: np.random.Generator) -> tuple[Tensor, PanopticMap]:
    image, ids = augment(sample.image, sample.truth.ids, augmentation, random)
    return image, replace(sample.truth, ids=ids)
