"""Presets are functions; a variant says only what differs. `PRESETS` is the list that the command line offers."""

from dataclasses import replace

from unipan.config import Config, DataConfig, DetectorConfig, InferenceConfig, LossConfig, ModelConfig, TrainConfig

_SMALL_DETECTOR = DetectorConfig(
    anchor_scale=4.0,
    proposals_before_nms=200,
    proposals=100,
    roi_samples=64,
    rpn_samples=128,
    box_channels=256,
    mask_channels=64,
    max_detections=50,
)


def demo() -> Config:
    """Mask-free network on procedural scenes: the whole road in minutes on two CPU cores."""
    return Config(
        model=ModelConfig(
            backbone="tf_efficientnet_lite0",
            fpn_channels=96,
            fpn_norm=True,
            decoder_channels=(64, 64),
            affinity_dim=64,
            masks=False,
            variant="A",
            detector=_SMALL_DETECTOR,
        ),
        data=DataConfig(source="scenes", jitter=0.1),
        loss=LossConfig(panoptic=1.0),
        train=TrainConfig(
            steps=600,
            batch_size=4,
            learning_rate=0.03,
            warmup_steps=50,
            decay_steps=(450, 550),
            workers=1,
            save_every=200,
        ),
        inference=InferenceConfig(score_threshold=0.5),
    )


def coco_small() -> Config:
    """COCO panoptic data at a small scale: 27 super-categories, masks, variant C, about 256 px; a first look on a laptop.

    Variant C and the stuff limit of 4096 px are the paper's and UPSNet's for COCO; all else is ours, sized for a CPU.
    """
    small = demo()
    return replace(
        small,
        model=replace(
            small.model,
            masks=True,
            variant="C",
            detector=replace(_SMALL_DETECTOR, proposals=200, roi_samples=128, box_channels=512),
        ),
        data=DataConfig(source="coco", merge="supercategory", short_side=256, long_side=448, jitter=0.2),
        loss=LossConfig(panoptic=0.2),
        train=replace(small.train, steps=800, learning_rate=0.005, warmup_steps=100, decay_steps=(600, 730), save_every=200),
        inference=InferenceConfig(score_threshold=0.5, min_stuff_area_px=4096),
    )


PRESETS = {preset.__name__: preset for preset in (demo, coco_small)}
