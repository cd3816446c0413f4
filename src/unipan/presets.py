"""Presets are functions; a variant says only what differs. `PRESETS` is the list that the command line offers."""

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
            learning_rate=0.02,
            warmup_steps=50,
            decay_steps=(450, 550),
            workers=1,
            save_every=200,
        ),
        inference=InferenceConfig(score_threshold=0.5),
    )


PRESETS = {preset.__name__: preset for preset in (demo,)}
