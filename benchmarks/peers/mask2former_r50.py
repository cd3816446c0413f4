"""transformers' Mask2Former with ResNet-50 (extra `peers`): 100 queries, panoptic post-processing."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import (  # pyright: ignore[reportMissingImports]
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessor,
    ResNetConfig,
)

from peers.scene import STUFF, THINGS, Scene, descending


def training_step(scene: Scene) -> Callable[[], object]:
    """A step of stochastic gradient descent on the scene; a mask for each thing and each stuff class that is seen."""
    model = _model().to(scene.image.device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    seen = [index for index in range(STUFF) if bool((scene.target.semantic == index).any())]
    masks = torch.cat([torch.stack([scene.target.semantic == index for index in seen]), scene.masks]).float()
    labels = torch.cat([torch.tensor(seen).to(scene.target.labels), scene.target.labels])
    return descending(optimizer, lambda: model(scene.image[None], mask_labels=[masks], class_labels=[labels]).loss)


def prediction(scene: Scene) -> Callable[[], object]:
    """From pixels to the panoptic map."""
    model, processor = _model().to(scene.image.device).eval(), Mask2FormerImageProcessor()

    def predict() -> Any:
        with torch.no_grad():
            return processor.post_process_panoptic_segmentation(
                model(scene.image[None]), threshold=0.0, target_sizes=[scene.size]
            )

    return predict


def _model() -> torch.nn.Module:
    configs: Any = (ResNetConfig, Mask2FormerConfig)  # their settings stand in no signature
    backbone = configs[0](out_features=["stage1", "stage2", "stage3", "stage4"])
    config = configs[1](backbone_config=backbone, num_labels=STUFF + THINGS, use_pretrained_backbone=False)
    return Mask2FormerForUniversalSegmentation(config)
