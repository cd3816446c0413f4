"""torchvision's Mask R-CNN with ResNet-50 and FPN: boxes and masks, no semantic map."""

from collections.abc import Callable
from typing import Any

import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn

from peers.scene import STUFF, THINGS, Scene, descending

DETECTIONS = 100


def training_step(scene: Scene) -> Callable[[], object]:
    """A step of stochastic gradient descent on the scene."""
    model = _model(scene).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
    target = {
        "boxes": scene.target.boxes,
        "labels": scene.target.labels - STUFF + 1,
        "masks": scene.masks.to(torch.uint8),
    }
    return descending(optimizer, lambda: torch.stack(list(model([scene.image], [target]).values())).sum())


def prediction(scene: Scene) -> Callable[[], object]:
    """From pixels to the detections, their masks pasted into the image."""
    model = _model(scene, box_score_thresh=0.0, box_detections_per_img=DETECTIONS).eval()

    def predict() -> Any:
        with torch.no_grad():
            found = model([scene.image])
        assert len(found[0]["boxes"]) == DETECTIONS, f"{len(found[0]['boxes'])} detections, the others keep {DETECTIONS}"
        return found

    return predict


def _model(scene: Scene, **limits: Any) -> torch.nn.Module:
    height, width = scene.size
    return maskrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=THINGS + 1,
        min_size=min(height, width),
        max_size=max(height, width),
        trainable_backbone_layers=5,
        **limits,
    ).to(scene.image.device)
