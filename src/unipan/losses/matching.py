"""Which true thing each detection stands for. N detections and G true things of one image."""

import torch
from torch import Tensor
from torchvision.ops import box_iou

from unipan.types import Target

MIN_IOU = 0.5
"""A detection stands for a true thing only if their boxes overlap by more (our choice)."""


@torch.no_grad()
def match_detections(boxes: Tensor, labels: Tensor, target: Target) -> Tensor:
    """For each detection the index of its true thing, -1 for none: (N,) int64. Same class, box IoU over MIN_IOU, one to one.

    boxes: (N, 4) x1 y1 x2 y2 in pixels. labels: (N,) class indices. Greedy: the pair with the highest IoU goes first; of equal
    pairs the one with the earlier (better) detection.
    """
    matched = labels.new_full((len(boxes),), -1)
    num_true = len(target.boxes)
    iou = box_iou(boxes.float(), target.boxes.float())
    allowed = (iou > MIN_IOU) & (labels[:, None] == target.labels)
    iou = iou.where(allowed, -1.0)
    # A loop, because each choice depends on the ones before it; at most min(N, G) rounds. Indices stay tensors of one element:
    # as numbers they would make a GPU wait.
    for _ in range(min(len(boxes), num_true)):
        best = iou.argmax().view(1)
        row, column = best // num_true, best % num_true
        matched[row] = torch.where(iou[row, column] > 0, column, matched[row])
        iou = iou.index_fill(0, row, -1.0).index_fill(1, column, -1.0)
    return matched
