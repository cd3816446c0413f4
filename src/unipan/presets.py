"""Presets are functions; a variant says only what differs. `PRESETS` is the list that the command line offers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from unipan.config import FROM_DATA, Config, DataConfig, DetectorConfig, InferenceConfig, LossConfig, ModelConfig, TrainConfig
from unipan.errors import InputError
from unipan.settings import flat, with_values

_RESNET50 = "resnet50.tv_in1k"
"""With torchvision's first ImageNet weights: timm's own recipe for ResNet-50 is made for classification alone."""

_SMALL_DETECTOR = DetectorConfig(
    anchor_scale=4.0,
    proposals_before_nms=200,
    proposals=100,
    roi_samples=64,
    rpn_samples=128,
    box_channels=256,
    mask_channels=64,
    mask_norm=True,
    max_detections=50,
)


def scenes() -> Config:
    """A small mask-free network on procedural scenes, trained as the published ones are: the base of the tables in the docs.

    Boxes of one long thing that lies aslant may overlap little, hence the low limit of their suppression.
    """
    return Config(
        model=ModelConfig(
            backbone="tf_efficientnet_lite0",
            fpn_channels=96,
            fpn_norm=True,
            decoder_channels=(64, 64),
            affinity_dim=64,
            masks=False,
            variant="A",
            void_channel=True,
            detector=replace(_SMALL_DETECTOR, nms=0.3),
        ),
        data=DataConfig(source="scenes", jitter=0.1),
        loss=LossConfig(panoptic=1.0),
        train=TrainConfig(
            steps=600,
            batch_size=4,
            learning_rate=0.03,
            warmup_steps=50,
            decay_steps=(450, 550),
            clip_norm=4.0,
            workers=1,
            save_every=200,
        ),
        inference=InferenceConfig(score_threshold=0.5),
    )


def demo() -> Config:
    """A small network on procedural scenes, trained in minutes on two CPU cores; no data are needed.

    [ours] All. It is the preset scenes with what we added to the paper: the affinity head sees where a cell lies and has a loss
    of its own; the network learns which detections exist, so that weaker ones are admitted; logits are upsampled by learnt
    shares; the panoptic logits have a Lovasz-softmax loss too; 1000 steps of AdamW, whose rate falls along a cosine; stuff
    segments under 64 px become void.
    """
    base = scenes()
    return replace(
        base,
        model=replace(base.model, affinity_position=True, existence=True, upsampling="convex"),
        loss=replace(base.loss, panoptic_lovasz=1.0, affinity=0.5, affinity_rivals=0.5),
        train=replace(
            base.train,
            steps=1000,
            optimizer="adamw",
            learning_rate=0.001,
            weight_decay=0.05,
            schedule="cosine",
            score_threshold=0.15,
        ),
        inference=InferenceConfig(score_threshold=0.3, min_stuff_area_px=64),
    )


def coco_small() -> Config:
    """COCO panoptic data at a small scale: 27 super-categories, masks, variant C, about 256 px; a first look on a laptop.

    Variant C and the stuff limit of 4096 px are the paper's and UPSNet's for COCO; all else is ours, sized for a CPU and for few
    images: what demo has beyond scenes, but for Lovasz-softmax of the answer and the affinity loss among the things of one class
    (no gain on photographs), a larger weight of the answer's loss, at a lower rate, copied things, resizing by 0.5 to 1.5, one
    box and mask for all classes, the void channel, and the average of the weights, over about the last 100 steps.
    With --data.train JSON no class is merged and no stuff trimmed, unless it is asked for.
    """
    small = demo()
    return replace(
        small,
        model=replace(
            small.model,
            masks=True,
            variant="C",
            detector=replace(_SMALL_DETECTOR, proposals=200, roi_samples=128, box_channels=512, class_agnostic=True),
        ),
        data=DataConfig(
            source="coco",
            merge="supercategory",
            short_side=256,
            long_side=448,
            scale_range=(0.5, 1.5),
            jitter=0.2,
            copy_paste=0.5,
        ),
        loss=replace(small.loss, panoptic=0.6, panoptic_lovasz=0.0, affinity_rivals=0.0),
        train=replace(small.train, steps=1800, learning_rate=0.0004, warmup_steps=100, ema=0.99),
        inference=InferenceConfig(score_threshold=0.2, min_stuff_area_px=4096),
    )


def cityscapes_r50() -> Config:
    """Cityscapes with masks (paper, Table E: PQ 61.4), straight from its download.

    [paper] ResNet-50 from ImageNet, batch-norm statistics kept; masks, their loss the Lovasz hinge; variant B.
    [paper] Lovasz-softmax in place of the semantic cross-entropy, over the 8 crops of a GPU.
    [paper] Batch 32, rate 0.01, weight decay 1e-4, 65,000 steps, divided by 10 after 40,000 and 55,000, warm-up 500 from 1/3.
    [paper] Resized by 0.5 to 2, crop 512 x 1024, flip, small color jitter; one scale at full resolution; score threshold 0.5.
    [UPSNet] Decoder 128, 128; anchors of scale 8; loss weights 1 (semantic) and 0.5 (panoptic); stuff limit 2048 px.
    [ours] torchvision's ImageNet weights; color jitter by 0.1; momentum 0.9; gradients clipped; 1000 proposals.
    [ours] Another batch size scales the rate in proportion; how evidence spreads; which detections are admitted in training.

    data.root is the folder where leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip were unpacked.
    """
    return Config(
        model=ModelConfig(backbone=_RESNET50, decoder_channels=(128, 128), variant="B"),
        data=DataConfig(
            source="cityscapes", train_split="train", val_split="val", scale_range=(0.5, 2.0), crop=(512, 1024), jitter=0.1
        ),
        loss=LossConfig(semantic=0.0, semantic_lovasz=1.0, panoptic=0.5, group=8),
        train=TrainConfig(
            steps=65_000,
            batch_size=32,
            learning_rate=0.01,
            reference_batch_size=32,
            weight_decay=1e-4,
            warmup_steps=500,
            warmup_factor=1 / 3,
            decay_steps=(40_000, 55_000),
            workers=8,
        ),
        inference=InferenceConfig(score_threshold=0.5, min_stuff_area_px=2048),
    )


def cityscapes_r50_boxes() -> Config:
    """Cityscapes without masks (paper, Table E: PQ 59.0): boxes and a semantic map suffice.

    [paper] No mask head; all else as cityscapes_r50.
    [ours] That the potential is then variant A: boxes times semantic probabilities.
    """
    base = cityscapes_r50()
    return replace(base, model=replace(base.model, masks=False, variant="A"))


def cityscapes_r50_fast() -> Config:
    """cityscapes_r50 for about two thirds of a step's time on a CPU; docs/performance.md has both beside a Mask R-CNN.

    [ours] P2 goes through a 1x1 convolution instead of the decoders' blocks, of which the two have the first in common; 512
    proposals. All else is cityscapes_r50's.
    """
    return as_fast(cityscapes_r50())


def coco_r50() -> Config:
    """COCO panoptic with masks (paper, Table E: PQ 43.4).

    [paper] ResNet-50 from ImageNet, batch-norm statistics kept; masks, their loss the Lovasz hinge; variant C; cross-entropy.
    [paper] Shorter side 800, longer at most 1333, flip; score threshold 0.75.
    [UPSNet] Decoder 256, 128, 128; loss weights 0.2 (semantic) and 0.1 (panoptic); stuff limit 4096 px; anchors of scale 8.
    [UPSNet] Batch 16, rate 0.02, 90,000 steps, divided by 10 after 60,000 and 80,000, warm-up 1500 from 0.1; weight decay 1e-4.
    [ours] That this schedule, near Panoptic FPN's too, is taken: the paper's stands in none of its stored text.
    [ours] Momentum 0.9; gradients clipped; 1000 proposals; another batch size scales the rate; torchvision's ImageNet weights.
    """
    return Config(
        model=ModelConfig(backbone=_RESNET50, decoder_channels=(256, 128, 128), variant="C"),
        data=DataConfig(source="coco", short_side=800, long_side=1333),
        loss=LossConfig(semantic=0.2, panoptic=0.1),
        train=TrainConfig(
            steps=90_000,
            batch_size=16,
            learning_rate=0.02,
            reference_batch_size=16,
            warmup_steps=1500,
            warmup_factor=0.1,
            decay_steps=(60_000, 80_000),
            workers=8,
        ),
        inference=InferenceConfig(score_threshold=0.75, min_stuff_area_px=4096),
    )


def coco_r50_fast() -> Config:
    """coco_r50 with less work for its decoders and its box head, as cityscapes_r50_fast.

    [ours] P2 goes through a 1x1 convolution instead of the decoders' blocks, of which the two have the first in common; 512
    proposals. All else is coco_r50's.
    """
    return as_fast(coco_r50())


def finetune() -> Config:
    """Your own images, in the COCO panoptic format, on one GPU; best from a Mask R-CNN: --train.warm-start torchvision.

    [paper] ResNet-50, batch-norm statistics kept; masks; variant B; warm-up 500 from 1/3; score threshold 0.5.
    [UPSNet] Decoder 128, 128; anchors of scale 8.
    [ours] Shorter side 640, resized by 0.8 to 1.6, crop 640 x 640, flip, color jitter by 0.1; loss weights; no stuff limit.
    [ours] A void channel: things that nobody detects become void, not background. The average of the last 500 steps' weights.
    [ours] Batch 4 at a quarter of the rate 0.01, which is meant for 16; 5000 steps, divided by 10 after 3500 and 4500.
    """
    return Config(
        model=ModelConfig(backbone=_RESNET50, decoder_channels=(128, 128), variant="B", void_channel=True),
        data=DataConfig(
            source="coco",
            train_split="train",
            val_split="val",
            short_side=640,
            long_side=1066,
            scale_range=(0.8, 1.6),
            crop=(640, 640),
            jitter=0.1,
        ),
        loss=LossConfig(semantic=0.5, panoptic=0.25),
        train=TrainConfig(
            steps=5000,
            batch_size=4,
            learning_rate=0.01,
            reference_batch_size=16,
            decay_steps=(3500, 4500),
            save_every=500,
            ema=0.998,
        ),
        inference=InferenceConfig(score_threshold=0.5),
    )


def finetune_small() -> Config:
    """Your own images, in the COCO panoptic format, on a CPU: coco_small's network, with sizes that follow from the data.

    [ours] All. Variant B and Lovasz-softmax of the answer are what won on many touching things of one class. By 100 training
    images: the short side (half of the things are at least 16 px wide, 256 to 512 px), the anchors (smaller where 512 px don't
    make things 16 px wide; the proportions that the things have), and how many detections, proposals and channels an image may
    have (half as many again as it holds things). No class is merged, no stuff trimmed. 800 steps of 4.
    """
    small = coco_small()
    detector = replace(
        small.model.detector,
        anchor_scale=FROM_DATA,
        aspect_ratios=(FROM_DATA,),
        proposals_before_nms=FROM_DATA,
        proposals=FROM_DATA,
        max_detections=FROM_DATA,
    )
    return for_own_data(
        replace(
            small,
            model=replace(small.model, variant="B", detector=detector),
            loss=replace(small.loss, panoptic=0.2, panoptic_lovasz=1.0),
            data=replace(small.data, train_split="train", val_split="val", short_side=FROM_DATA, long_side=FROM_DATA),
            train=replace(small.train, steps=800, max_admitted=FROM_DATA),
            inference=replace(small.inference, max_admitted=FROM_DATA),
        )
    )


def panoptic_fpn_cityscapes() -> Config:
    """Panoptic FPN's heuristic merger on cityscapes_r50's network: the baseline to compare with.

    [Panoptic FPN] No panoptic loss; finished parts are merged by score; score threshold 0.5.
    [ours] Network, semantic loss, schedule and stuff limit are cityscapes_r50's: only the way to the answer differs.
    """
    return as_panoptic_fpn(cityscapes_r50())


def panoptic_fpn_coco() -> Config:
    """Panoptic FPN's heuristic merger on coco_r50's network: the baseline to compare with.

    [Panoptic FPN] No panoptic loss; finished parts are merged by score; score threshold 0.5; stuff limit 4096 px.
    [ours] Network, semantic loss and schedule are coco_r50's: only the way to the answer differs.
    """
    return as_panoptic_fpn(coco_r50())


def upsnet_cityscapes() -> Config:
    """UPSNet's parameter-free head on cityscapes_r50's network: the baseline to compare with.

    [UPSNet] Panoptic loss on its own head, weight 0.5, trained with the truth's boxes; a channel for unknown things;
    [UPSNet] score threshold 0.6.
    [ours] Network, semantic loss, schedule and stuff limit are cityscapes_r50's: only the head differs.
    """
    return as_upsnet(cityscapes_r50())


def upsnet_coco() -> Config:
    """UPSNet's parameter-free head on coco_r50's network: the baseline to compare with.

    [UPSNet] Panoptic loss on its own head, weight 0.1, trained with the truth's boxes; a channel for unknown things;
    [UPSNet] score threshold 0.6.
    [ours] The rest is coco_r50's, itself near UPSNet's: only the head differs.
    """
    return as_upsnet(coco_r50())


def as_fast(base: Config) -> Config:
    """Less work: no decoder blocks on P2, which has three quarters of the cells; one first block for both; half the proposals."""
    detector = replace(base.model.detector, proposals=512)
    return replace(base, model=replace(base.model, deformable_from=3, shared_blocks=1, detector=detector))


def as_panoptic_fpn(base: Config) -> Config:
    """Panoptic FPN on a unified run's network and schedule, as published: with bilinear logits."""
    return replace(
        base,
        model=replace(base.model, panoptic="heuristic", void_channel=False, upsampling="bilinear"),
        loss=replace(base.loss, panoptic=0.0, panoptic_lovasz=0.0),
        inference=replace(base.inference, score_threshold=0.5),
    )


def as_upsnet(base: Config) -> Config:
    """UPSNet's head on a unified run's network and schedule, as published: cross-entropy alone, bilinear logits."""
    return replace(
        base,
        model=replace(base.model, panoptic="upsnet", void_channel=True, upsampling="bilinear"),
        loss=replace(base.loss, panoptic_lovasz=0.0),
        train=replace(base.train, detections="truth"),
        inference=replace(base.inference, score_threshold=0.6),
    )


def for_own_data(preset: Config) -> Config:
    """A preset for JSONs of one's own: no class is merged and no stuff trimmed: both are made for COCO and Cityscapes."""
    return replace(preset, data=replace(preset.data, merge="none"), inference=replace(preset.inference, min_stuff_area_px=0))


PRESETS = {
    preset.__name__: preset
    for preset in (
        demo,
        scenes,
        coco_small,
        cityscapes_r50,
        cityscapes_r50_boxes,
        cityscapes_r50_fast,
        coco_r50,
        coco_r50_fast,
        finetune,
        finetune_small,
        panoptic_fpn_cityscapes,
        panoptic_fpn_coco,
        upsnet_cityscapes,
        upsnet_coco,
    )
}


def preset_named(name: str) -> Config:
    """The settings of that preset. Raises: InputError for a name that none bears."""
    if not isinstance(name, str) or name not in PRESETS:
        raise InputError(f"there is no preset {name}; expected one of {', '.join(PRESETS)}.")
    return PRESETS[name]()


def settings_of(start: str | Config | Mapping[str, Any], changes: Mapping[str, Any], *, own_data: bool = False) -> Config:
    """The settings of the preset of that name, or as they are, or by their names, and what `changes` gives of them.

    A mapping says under `preset` which preset it is about; without, what it leaves out takes its default. Where JSONs of one's
    own are named (data.train), or are going to be (own_data), a preset merges and trims nothing unless asked to.
    Raises: InputError for a preset or a setting that there is not, and values that do not go together.
    """
    if isinstance(start, Config):
        return with_values(start, changes)
    if not isinstance(start, (str, Mapping)):
        raise InputError(f"settings came as a {type(start).__name__}; give a preset's name, a Config, or a mapping.")
    given = {"preset": start} if isinstance(start, str) else dict(start)
    preset = given.pop("preset", None)
    settings = Config() if preset is None else preset_named(preset)
    values = {**flat(given), **flat(changes)}
    return with_values(for_own_data(settings) if own_data or values.get("data.train") else settings, values)
