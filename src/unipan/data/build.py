"""From settings to data sets, and what to say of them before they are used."""

from pathlib import Path
from typing import assert_never

from unipan.addresses import location_of
from unipan.classes import merge_remark
from unipan.config import FIRST_TRAINING_SEED, Config, DataConfig
from unipan.data.cityscapes import TRAIN_IDS_REMEDY, Cityscapes, may_be_train_ids
from unipan.data.coco import CocoPanoptic, coco_split, json_set
from unipan.data.dataset import PanopticDataset, SourceDataset, evenly_spaced
from unipan.data.loader import StepBatches
from unipan.data.repeats import repeated
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.shards import Shards
from unipan.data.transforms import Augmentation
from unipan.errors import InputError, plural
from unipan.ops.image_range import dim_range

TRAINING_SCENES = 1_000_000
"""So many that no run of ours sees one twice."""

LOOKED_AT = 8
"""Images that are read for a remark, evenly spaced."""


def training_dataset(config: DataConfig, seed: int) -> SourceDataset:
    """The images to learn from. `seed` is the run's; it draws the scenes."""
    match config.kind:
        case "scenes":
            return SceneDataset(
                difficulty=config.difficulty,
                size=config.scene_size,
                seed=FIRST_TRAINING_SEED + seed,
                length=TRAINING_SCENES,
            )
        case "coco":
            return coco_split(config.root, config.train_split, merge=config.merge)
        case "cityscapes":
            return Cityscapes(Path(config.root), config.train_split, merge=config.merge)
        case "shards":
            return Shards(location_of(config.root), config.train_split, merge=config.merge)
        case "json":
            return _training_json(config)
    assert_never(config.kind)


def validation_dataset(config: DataConfig) -> SourceDataset:
    """The held-out images: the same for every run."""
    match config.kind:
        case "scenes":
            return SceneDataset(
                difficulty=config.difficulty, size=config.scene_size, seed=config.val_seed, length=config.val_scenes
            )
        case "coco":
            return coco_split(config.root, config.val_split, merge=config.merge)
        case "cityscapes":
            return Cityscapes(Path(config.root), config.val_split, merge=config.merge)
        case "shards":
            return Shards(location_of(config.root), config.val_split, merge=config.merge)
        case "json":
            return _held_out_json(config)
    assert_never(config.kind)


def remarks(dataset: PanopticDataset) -> list[str]:
    """What a person should know of a data set before it is used; some of its images are looked at."""
    messages = []
    if isinstance(dataset, CocoPanoptic) and dataset.left_out:
        number = plural(dataset.left_out, "image")
        messages = [f"{dataset.json_path}: {number} without an annotation left out; {len(dataset)} remain."]
    if isinstance(dataset, (CocoPanoptic, Cityscapes, Shards)):
        merging = merge_remark(dataset.own_classes, len(dataset.classes))
        messages += [merging] if merging else []
    indices = evenly_spaced(len(dataset), LOOKED_AT)
    if isinstance(dataset, CocoPanoptic):
        dim = [(path, found) for index in indices if (found := dim_range(path := dataset.image_path(index)))]
        if dim:
            messages.append(
                f"{len(dim)} of {len(indices)} images that were looked at are nearly black, first {dim[0][0]}: {dim[0][1]}. "
                "Scale their values to the whole range, and save them again."
            )
    if isinstance(dataset, Cityscapes) and may_be_train_ids(set().union(*map(dataset.labels, indices))):
        messages.append(
            f"The labels of {len(indices)} frames that were looked at may be train ids: no sky, no vegetation. {TRAIN_IDS_REMEDY}"
        )
    return messages


def _training_json(config: DataConfig) -> CocoPanoptic:
    """Mistakes in the held-out set are found here too: after a long training they would come late."""
    training, held_out = _json_set(config, config.train, config.images, config.train_masks), _held_out_json(config)
    difference = training.classes.difference(held_out.classes)
    if difference:
        raise InputError(
            f"{config.train} and {config.val} differ in their categories: {difference}; give both the same list, in one order."
        )
    return training


def _held_out_json(config: DataConfig) -> CocoPanoptic:
    return _json_set(config, config.val, config.val_images or config.images, config.val_masks)


def _json_set(config: DataConfig, json: str, images: str, masks: str) -> CocoPanoptic:
    """Paths start from the root, which is the current folder where none is given."""
    root = Path(config.root)
    return json_set(root / json, root / images, root / masks if masks else None, merge=config.merge)


def step_batches(config: Config, dataset: PanopticDataset, *, process: int = 0, processes: int = 1) -> StepBatches:
    """The batches of a training's steps; of each one this process's share."""
    data, schedule = config.data, config.train
    if data.repeat_threshold and isinstance(dataset, (CocoPanoptic, Cityscapes, Shards)):
        dataset = repeated(dataset, data.repeat_threshold, data.faulty)
    return StepBatches(
        dataset=dataset,
        augmentation=augmentation(data),
        min_thing_px=data.min_thing_px,
        batch_size=schedule.batch_size,
        seed=schedule.seed,
        process=process,
        processes=processes,
        faulty=data.faulty,
        copy_paste=data.copy_paste,
    )


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
