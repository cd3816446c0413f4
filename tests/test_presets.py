"""Presets hold what the paper and UPSNet publish, and each of their settings takes effect or is refused."""

from collections.abc import Callable
from math import inf, nan

import pytest

from unipan.cli.app import MENU
from unipan.cli.parse import parse
from unipan.config import Config, DataConfig, ModelConfig, TrainConfig
from unipan.errors import InputError
from unipan.presets import PRESETS, coco_small, for_own_data

AT_SCALE = [name for name in PRESETS if name not in ("demo", "scenes", "coco_small", "finetune_small")]


def settings(config: Config) -> dict[str, object]:
    return {
        "variant": config.model.variant,
        "masks": config.model.masks,
        "decoder": config.model.decoder_channels,
        "batch": config.train.batch_size,
        "rate": config.train.learning_rate,
        "decay": config.train.weight_decay,
        "steps": config.train.steps,
        "falls": config.train.decay_steps,
        "warm_up": (config.train.warmup_steps, round(config.train.warmup_factor, 3)),
        "sides": (config.data.short_side, config.data.long_side),
        "scale": config.data.scale_range,
        "crop": config.data.crop,
        "threshold": config.inference.score_threshold,
        "stuff_limit": config.inference.min_stuff_area_px,
    }


CITYSCAPES = {
    "variant": "B",
    "masks": True,
    "decoder": (128, 128),
    "batch": 32,
    "rate": 0.01,
    "decay": 1e-4,
    "steps": 65_000,
    "falls": (40_000, 55_000),
    "warm_up": (500, 0.333),
    "sides": (0, 0),
    "scale": (0.5, 2.0),
    "crop": (512, 1024),
    "threshold": 0.5,
    "stuff_limit": 2048,
}
COCO = {
    "variant": "C",
    "masks": True,
    "decoder": (256, 128, 128),
    "batch": 16,
    "rate": 0.02,
    "decay": 1e-4,
    "steps": 90_000,
    "falls": (60_000, 80_000),
    "warm_up": (1500, 0.1),
    "sides": (800, 1333),
    "scale": (1.0, 1.0),
    "crop": (0, 0),
    "threshold": 0.75,
    "stuff_limit": 4096,
}


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("cityscapes_r50", CITYSCAPES),
        ("cityscapes_r50_boxes", CITYSCAPES | {"variant": "A", "masks": False}),
        ("coco_r50", COCO),
        ("panoptic_fpn_cityscapes", CITYSCAPES),
        ("panoptic_fpn_coco", COCO | {"threshold": 0.5}),
        ("upsnet_cityscapes", CITYSCAPES | {"threshold": 0.6}),
        ("upsnet_coco", COCO | {"threshold": 0.6}),
    ],
)
def test_what_is_published(name: str, published: dict[str, object]) -> None:
    assert settings(PRESETS[name]()) == published


@pytest.mark.parametrize("name", AT_SCALE)
def test_at_the_paper_s_scale(name: str) -> None:
    config = PRESETS[name]()
    assert config.model.backbone.split(".")[0] == "resnet50"
    assert config.model.freeze_batchnorm
    assert config.data.source == ("cityscapes" if "cityscapes" in name else "coco")
    assert config.data.flip
    assert config.train.reference_batch_size, "another batch size must scale the rate"
    detector = config.model.detector
    assert (detector.anchor_scale, detector.aspect_ratios) == (8.0, (0.5, 1.0, 2.0))
    assert (detector.roi_samples, detector.rpn_samples, detector.box_channels, detector.mask_channels) == (512, 256, 1024, 256)
    assert "[ours]" in (PRESETS[name].__doc__ or "")


def test_cityscapes_learns_semantics_by_lovasz_over_eight_crops() -> None:
    loss = PRESETS["cityscapes_r50"]().loss
    assert (loss.semantic, loss.semantic_lovasz, loss.group) == (0.0, 1.0, 8)
    assert PRESETS["coco_r50"]().loss.semantic > 0


def test_baselines_differ_by_their_head() -> None:
    assert PRESETS["panoptic_fpn_coco"]().model.panoptic == "heuristic"
    assert PRESETS["panoptic_fpn_coco"]().loss.panoptic == 0
    assert PRESETS["upsnet_coco"]().model.panoptic == "upsnet"
    assert PRESETS["upsnet_coco"]().train.detections == "truth"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ModelConfig(checkpointing=True, freeze_batchnorm=False), "model.checkpointing .* twice"),
        (lambda: DataConfig(scale_range=(2.0, 0.5)), "data.scale_range is 2 0.5"),
        (lambda: DataConfig(scale_range=(0.0, 1.0)), "data.scale_range is 0 1"),
        (lambda: DataConfig(scale_range=(1.0, inf)), "data.scale_range is 1 inf"),
        (lambda: DataConfig(scale_range=(1.0, 101.0)), "data.scale_range is 1 101"),
        (lambda: DataConfig(scale_range=(nan, 1.0)), "data.scale_range is nan 1"),
        (lambda: DataConfig(crop=(512, 0)), "data.crop is .512, 0."),
        (lambda: DataConfig(crop=(31, 64)), "data.crop is .31, 64."),
        (lambda: TrainConfig(reference_batch_size=-1), "train.reference_batch_size is -1"),
        (lambda: TrainConfig(precision="fp16", device="cpu"), "train.precision fp16 needs a GPU"),
    ],
)
def test_what_cannot_work_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


@pytest.mark.parametrize("given", ["--data.train=a.json", "--data.train a.json"])
def test_of_ones_own_jsons_nothing_is_merged_and_no_stuff_trimmed_unless_asked_for(given: str) -> None:
    def config(*words: str) -> Config:
        return parse(MENU, ["train", "coco_small", *words, "--out", "run"]).keywords["config"]  # type: ignore[attr-defined]

    own = (*given.split(), "--data.val", "b.json", "--data.images", "c")
    assert (config().data.merge, config().inference.min_stuff_area_px) == ("supercategory", 4096)
    assert (config(*own).data.merge, config(*own).inference.min_stuff_area_px) == ("none", 0)
    asked = config(*own, "--data.merge", "supercategory", "--inference.min-stuff-area-px", "4096")
    assert (asked.data.merge, asked.inference.min_stuff_area_px) == ("supercategory", 4096)
    assert for_own_data(coco_small()).train == coco_small().train
