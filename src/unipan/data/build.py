"""From settings to data sets: the only file of this room that sees a Config."""

from typing import assert_never

from unipan.config import DataConfig
from unipan.data.coco import coco_split
from unipan.data.dataset import PanopticDataset
from unipan.data.scenes import SceneDataset
from unipan.data.transforms import Augmentation

TRAINING_SCENES = 1_000_000
"""So many that no run of ours sees one twice."""

VALIDATION_SEED = 0
FIRST_TRAINING_SEED = 1000
"""Training scenes of run seed s use FIRST_TRAINING_SEED + s, which no s >= 0 makes the validation seed."""


def training_dataset(config: DataConfig, seed: int) -> PanopticDataset:
    """The images to learn from. `seed` is the run's; it draws the scenes."""
    match config.source:
        case "scenes":
            return SceneDataset(
                difficulty=config.difficulty,
                size=config.scene_size,
                seed=FIRST_TRAINING_SEED + seed,
                length=TRAINING_SCENES,
            )
        case "coco":
            return coco_split(config.root, config.train_split, merge=config.merge)
    assert_never(config.source)


def validation_dataset(config: DataConfig) -> PanopticDataset:
    """The held-out images: the same for every run."""
    match config.source:
        case "scenes":
            return SceneDataset(
                difficulty=config.difficulty, size=config.scene_size, seed=VALIDATION_SEED, length=config.val_scenes
            )
        case "coco":
            return coco_split(config.root, config.val_split, merge=config.merge)
    assert_never(config.source)


def augmentation(config: DataConfig) -> Augmentation:
    """How training images are changed."""
    return Augmentation(
        short_side=config.short_side,
        long_side=config.long_side,
        scale_range=config.scale_range,
        crop=config.crop,
        flip=config.flip,
        jitter=config.jitter,
    )
