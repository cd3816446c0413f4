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
    iou = box_iou(boxes.float(), target.boxes.float())
    free = iou.where((iou > MIN_IOU) & (labels[:, None] == target.labels), 0.0)  # 0: the two may not be matched, or no longer
    # Of the pairs that are the best both of their detection and of their thing, none can take a partner from another, so all are
    # matched at once: mostly one round does for all, and min(N, G) always do. A GPU waits for each round's question whether to go
    # on; going through min(N, G) of them unasked took hundreds of calls.
    while free.any():
        best, column = free.max(1)
        chosen = (best > 0) & (free.argmax(0)[column] == torch.arange(len(free), device=free.device))
        matched = column.where(chosen, matched)
        taken = torch.zeros_like(free[0]).index_add(0, column, chosen.to(free.dtype))
        free = free.masked_fill(chosen[:, None] | (taken > 0), 0.0)
    return matched
