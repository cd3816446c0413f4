"""The methods that the paper's tables compare, each a change of one preset: network, data and schedule stay the preset's."""

from dataclasses import replace
from typing import Literal, assert_never

from unipan.choices import Variant
from unipan.config import Config
from unipan.presets import as_panoptic_fpn, as_upsnet

Method = Literal["boxes", "boxes-truth", "masks-b", "masks-c", "panoptic-fpn", "upsnet", "upsnet-as-ours"]


def method_config(method: Method, base: Config, *, seed: int) -> Config:
    """The settings of one training.

    boxes: mask-free, variant A; boxes-truth: the same, trained with the truth's boxes (paper, Table C). masks-b, masks-c: with
    masks, variant B or C. panoptic-fpn, upsnet: the baselines on masks-b's network, as published; upsnet-as-ours: UPSNet's head
    with masks-b's loss and upsampling, which says what of a difference is the head's.
    """
    seeded = replace(base, train=replace(base.train, seed=seed))
    match method:
        case "boxes":
            return _with(seeded, masks=False, variant="A")
        case "boxes-truth":
            boxes = _with(seeded, masks=False, variant="A")
            return replace(boxes, train=replace(boxes.train, detections="truth"))
        case "masks-b":
            return _with(seeded, masks=True, variant="B")
        case "masks-c":
            return _with(seeded, masks=True, variant="C")
        case "panoptic-fpn":
            return as_panoptic_fpn(_with(seeded, masks=True, variant="B"))
        case "upsnet":
            return as_upsnet(_with(seeded, masks=True, variant="B"))
        case "upsnet-as-ours":
            ours = _with(seeded, masks=True, variant="B")
            published = as_upsnet(ours)
            return replace(published, loss=ours.loss, model=replace(published.model, upsampling=ours.model.upsampling))
    assert_never(method)


def _with(config: Config, *, masks: bool, variant: Variant) -> Config:
    return replace(config, model=replace(config.model, masks=masks, variant=variant))
