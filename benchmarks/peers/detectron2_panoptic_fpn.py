"""detectron2's Panoptic FPN with ResNet-50, where detectron2 is installed (it has no package on PyPI)."""

from collections.abc import Callable
from typing import Any

import torch
from detectron2 import model_zoo  # pyright: ignore[reportMissingImports]
from detectron2.modeling import build_model  # pyright: ignore[reportMissingImports]
from detectron2.structures import BitMasks, Boxes, Instances  # pyright: ignore[reportMissingImports]
from detectron2.utils.events import EventStorage  # pyright: ignore[reportMissingImports]

from peers.scene import STUFF, THINGS, Scene, descending

DETECTIONS = 100


def training_step(scene: Scene) -> Callable[[], object]:
    """A step of stochastic gradient descent on the scene."""
    model = _model().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9, weight_decay=1e-4)
    instances = Instances(scene.size)
    instances.gt_boxes = Boxes(scene.target.boxes)
    instances.gt_classes = scene.target.labels - STUFF
    instances.gt_masks = BitMasks(scene.masks)
    semantic = scene.target.semantic.long()
    merged = torch.where(semantic < STUFF, semantic + 1, torch.where(semantic < STUFF + THINGS, 0, 255))  # 0: any thing
    inputs = {"image": scene.image * 255, "instances": instances, "sem_seg": merged}

    def loss() -> torch.Tensor:
        with EventStorage():  # its heads write figures of the step there
            return torch.stack(list(model([inputs]).values())).sum()

    return descending(optimizer, loss)


def prediction(scene: Scene) -> Callable[[], object]:
    """From pixels to the panoptic map."""
    model = _model().eval()
    height, width = scene.size

    def predict() -> Any:
        with torch.no_grad():
            found = model([{"image": scene.image * 255, "height": height, "width": width}])
        assert len(found[0]["instances"]) == DETECTIONS, f"{len(found[0]['instances'])} detections, the others keep {DETECTIONS}"
        return found

    return predict


def _model() -> Any:
    config = model_zoo.get_config("COCO-PanopticSegmentation/panoptic_fpn_R_50_1x.yaml")
    config.MODEL.DEVICE = "cpu"
    config.MODEL.WEIGHTS = ""
    config.MODEL.BACKBONE.FREEZE_AT = 0  # every stage is trained, as the others' are; its norms stay as they are
    config.MODEL.ROI_HEADS.NUM_CLASSES = THINGS
    config.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    config.MODEL.SEM_SEG_HEAD.NUM_CLASSES = STUFF + 1
    config.MODEL.PANOPTIC_FPN.COMBINE.INSTANCES_CONFIDENCE_THRESH = 0.0
    config.TEST.DETECTIONS_PER_IMAGE = DETECTIONS
    model = build_model(config)
    _keep_features_small(model)
    return model


def _keep_features_small(model: torch.nn.Module) -> None:
    """Let each residual block add nothing, for the same work.

    Its norms are kept at 1, so random weights would double the features from block to block, a thousandfold in the end, and no
    more than ten boxes would survive such offsets: the box and the mask head would have nothing to do.
    """
    for name, scale in model.named_buffers():
        if name.endswith("conv3.norm.weight"):
            scale.zero_()
