from pathlib import Path

import torch

from unipan.config import Config, DataConfig, TrainConfig
from unipan.data.build import step_batches, training_dataset, validation_dataset
from unipan.data.loader import training_batches


def test_scenes_for_training_follow_the_seed_and_never_meet_the_held_out_ones() -> None:
    config = DataConfig(source="scenes", scene_size=(48, 64), val_scenes=3)
    held_out = validation_dataset(config)
    assert len(held_out) == 3
    images = [training_dataset(config, seed)[0].image for seed in (0, 0, 1)] + [held_out[0].image]
    assert torch.equal(images[0], images[1])
    assert not any(torch.equal(images[0], other) for other in images[2:])


def test_coco_from_settings_to_batches(sample_data: Path) -> None:
    root = str(sample_data / "coco-mini")
    config = DataConfig(source="coco", root=root, merge="supercategory", short_side=96, long_side=160, jitter=0.2)
    assert len(validation_dataset(config)) == 50
    dataset = training_dataset(config, seed=0)
    assert (len(dataset), len(dataset.classes)) == (100, 27)
    share = step_batches(Config(data=config, train=TrainConfig(steps=3, decay_steps=(), batch_size=4)), dataset)
    batches = training_batches(share, range(3), 2)
    for batch in batches:
        assert all(max(size) <= 160 and min(size) <= 96 for size in batch.sizes)
        assert sum(len(target.labels) for target in batch.targets) > 0
