"""Settings: complete, frozen, checked once; they survive the disk, and a wrong one is named."""

import json
import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unipan.config import Config, DataConfig, DetectorConfig, InferenceConfig, LossConfig, ModelConfig, TrainConfig
from unipan.errors import InputError
from unipan.overrides import Overrides
from unipan.presets import PRESETS, as_panoptic_fpn, as_upsnet, demo
from unipan.recipes.tables.methods import method_config
from unipan.settings_file import load_config, save_config

NO_LOSS = {"semantic": 0, "panoptic": 0, "rpn": 0, "box": 0, "mask": 0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def write_changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = asdict(Config())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_survives_the_disk(name: str, path: Path) -> None:
    config = PRESETS[name]()
    save_config(config, path)
    assert load_config(path) == config
    assert PRESETS[name].__name__ == name
    assert PRESETS[name].__doc__, "the command line shows it"


def test_baselines_learn_by_their_own_losses() -> None:
    """Whatever the unified head learns by: UPSNet's head by cross-entropy alone, Panoptic FPN's merger by nothing."""
    losses = [as_preset(demo()).loss for as_preset in (lambda base: base, as_upsnet, as_panoptic_fpn)]
    assert [loss.panoptic > 0 for loss in losses] == [True, True, False]
    assert [loss.panoptic_lovasz > 0 for loss in losses] == [True, False, False]


def test_upsnets_head_may_learn_as_ours_does() -> None:
    ours, published, as_ours = (method_config(method, demo(), seed=0) for method in ("masks-b", "upsnet", "upsnet-as-ours"))
    assert as_ours.loss == ours.loss != published.loss
    assert as_ours.model.upsampling == ours.model.upsampling != published.model.upsampling
    assert as_ours.train == published.train
    assert as_ours.model.panoptic == published.model.panoptic


def test_every_kind_of_setting_survives_the_disk(path: Path) -> None:
    config = Config(
        model=ModelConfig(masks=False, variant="A", decoder_channels=(8, 16, 32), detector=DetectorConfig(aspect_ratios=(1.0,))),
        data=DataConfig(source="coco", root="/data/ä", scene_size=(64, 96), jitter=0.1),
        train=TrainConfig(decay_steps=(), warmup_factor=1 / 3),
    )
    save_config(config, path)
    assert load_config(path) == config
    assert json.loads(path.read_text())["train"]["warmup_factor"] == 1 / 3


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().train.steps = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: c["train"].update(stepss=3), r"train\.stepss"),
        (lambda c: c.update(sources={}), "sources"),
        (lambda c: c["model"]["detector"].update(nms="much"), r"model\.detector\.nms"),
        (lambda c: c["train"].update(steps="many"), r"train\.steps.*'many'"),
        (lambda c: c["train"].update(decay_steps=[1, "x"]), r"train\.decay_steps\.1"),
        (lambda c: c["model"].update(variant="D"), r"model\.variant"),
        (lambda c: c["data"].update(scene_size=[128]), r"data\.scene_size"),
        (lambda c: c["train"].update(steps=0), r"train\.steps is 0"),
    ],
)
def test_a_wrong_setting_of_a_file_is_named(change: Callable[[dict[str, Any]], object], named: str, path: Path) -> None:
    write_changed(path, change)
    with pytest.raises(InputError, match=rf"config\.json: (setting )?.*{named}"):
        load_config(path)


@pytest.mark.parametrize("text", ["", "{", '{"train": ', "[1, 2"])
def test_broken_json_is_named(text: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(InputError, match=r"cannot read the settings in .*config\.json"):
        load_config(path)


@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_json_that_is_no_object_is_refused(text: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(InputError, match=r"config\.json"):
        load_config(path)


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the settings in .*config\.json.*No such file"):
        load_config(path)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ModelConfig(masks=False, variant="B"), "model.variant B needs masks"),
        (lambda: ModelConfig(masks=False, variant="C"), "model.variant C needs masks"),
        (lambda: ModelConfig(fpn_channels=0), "model.fpn_channels is 0"),
        (lambda: ModelConfig(affinity_dim=-1), "model.affinity_dim is -1"),
        (lambda: DataConfig(short_side=-2), "data.short_side"),
        (lambda: DataConfig(short_side=800, long_side=600), "the long side, unless 0, the larger"),
        (lambda: DataConfig(scene_size=(31, 64)), "data.scene_size"),
        (lambda: DataConfig(jitter=1.0), "data.jitter is 1.0"),
        (lambda: DataConfig(jitter=-0.1), "data.jitter is -0.1"),
        (lambda: LossConfig(box=-1.0), "mend box"),
        (lambda: LossConfig(group=0), "mend group"),
        (lambda: Config(loss=LossConfig(**NO_LOSS)), "every loss weight that this network has a loss for is 0"),
        (
            lambda: Config(model=ModelConfig(masks=False, variant="A"), loss=LossConfig(**NO_LOSS | {"mask": 1})),
            "nothing to learn",
        ),
        (lambda: Config(loss=LossConfig(**NO_LOSS | {"existence": 1})), "nothing to learn"),
        (lambda: TrainConfig(warmup_steps=-1), "train.warmup_steps .-1. must be 0 or more"),
        (lambda: TrainConfig(warmup_factor=0.0), "train.warmup_factor .0. above 0"),
        (lambda: TrainConfig(seed=-1), "train.seed"),
        (lambda: TrainConfig(seed=2**63), "train.seed .* below 2\\^63"),
        (lambda: TrainConfig(workers=-1), "train.workers"),
        (lambda: TrainConfig(reference_batch_size=-1), "train.reference_batch_size is -1; it must be 0 or more"),
        (lambda: TrainConfig(panels_every=-1), "train.panels_every is -1; it must be 0 or more"),
        (lambda: TrainConfig(weight_decay=-1e-4), "train.weight_decay is -0.0001; it must be 0 or more"),
        (lambda: TrainConfig(learning_rate=math.nan), "train.learning_rate is nan; it must be above 0"),
        (lambda: TrainConfig(momentum=1.0), "train.momentum is 1; it must lie"),
        (lambda: TrainConfig(learning_rate=math.inf), "train.learning_rate is inf; it must be finite"),
        (lambda: TrainConfig(weight_decay=math.inf), "train.weight_decay is inf; it must be finite"),
        (lambda: TrainConfig(score_threshold=math.nan), "train.score_threshold is nan; it must lie"),
        (lambda: TrainConfig(decay_steps=(-5, -5)), "train.decay_steps"),
        (lambda: InferenceConfig(score_threshold=50), "inference.score_threshold is 50; it must lie"),
        (lambda: LossConfig(semantic=math.nan), "mend semantic"),
        (lambda: LossConfig(box=math.inf), "mend box"),
        (lambda: ModelConfig(decoder_channels=(64, 0)), "model.decoder_channels"),
        (lambda: DetectorConfig(aspect_ratios=(0.5, math.nan)), "model.detector.aspect_ratios"),
        (lambda: DetectorConfig(anchor_scale=math.inf), "model.detector.anchor_scale is inf"),
        (lambda: Overrides(max_admitted=-1), "max_admitted is -1; give 0 or more"),
        (lambda: Overrides(scale="2"), "scale is '2', a str; give a number"),  # type: ignore[arg-type]
        (lambda: Overrides(nms=True), "nms is True, a bool; give a number"),
        (lambda: Overrides(max_admitted=2.5), "max_admitted is 2.5, a float; give a whole number"),  # type: ignore[arg-type]
        (lambda: Overrides(proposals=0), "^proposals is 0; give 1 or more"),
        (lambda: Overrides(short_side=-1), "short_side is -1; give 0 or more"),
        (lambda: Overrides(precision="fp16"), "there is no precision fp16; choose fp32 or bf16"),  # type: ignore[arg-type]
        (lambda: DetectorConfig(proposals=0), "model.detector.proposals is 0; it must be above 0"),
        (lambda: DetectorConfig(nms=1.5), "model.detector.nms is 1.5; it must lie"),
        (lambda: DetectorConfig(aspect_ratios=()), "model.detector.aspect_ratios"),
        (lambda: DataConfig(val_scenes=0), "data.val_scenes is 0"),
        (lambda: InferenceConfig(max_admitted=-2), "inference.max_admitted is -2"),
        *[
            (lambda name=name: replace(TrainConfig(), **{name: 0}), f"train.{name} is 0; it must be above 0")
            for name in ("steps", "batch_size", "learning_rate", "clip_norm", "save_every", "max_admitted")
        ],
    ],
)
def test_what_cannot_work_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


def test_the_edge_of_what_works_is_accepted() -> None:
    ModelConfig(masks=False, variant="A")
    DataConfig(short_side=800, long_side=800, jitter=0.99, scene_size=(32, 32))
    DataConfig(short_side=0, long_side=600)
    LossConfig(**(NO_LOSS | {"panoptic_lovasz": 0.1}))  # type: ignore[arg-type]
    TrainConfig(steps=501, warmup_steps=500)
    TrainConfig(steps=1, warmup_steps=0, seed=0, workers=0)


def test_numbers_of_other_libraries_are_numbers() -> None:
    given = Overrides(threshold=np.float32(0.5), scale=torch.tensor(2), max_admitted=np.int64(3))  # type: ignore[arg-type]
    assert given == Overrides(threshold=0.5, scale=2.0, max_admitted=3)
    assert json.dumps(asdict(given))
