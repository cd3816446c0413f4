"""Which of many scored boxes are worth a look; without a size in any shape, so that a graph of it takes images of any size."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor


def best_of_levels(scores: Sequence[Tensor], number: int) -> Tensor:
    """Indices into the levels' scores laid end to end: of each level the `number` highest, best first, or all there are.

    scores: (n,) of each level. What is nan or minus infinity is never among them.
    """
    best: list[Tensor] = []
    start = 0
    for level in scores:
        worthy = level.where(level > -torch.inf, -torch.inf)  # nan would be the highest of all
        highest = F.pad(worthy, (0, number), value=-torch.inf).topk(number)  # padded, as `min` would tie a graph to one size
        best.append(start + highest.indices[highest.values > -torch.inf])
        start += level.shape[0]  # as `len` would, too
    return torch.cat(best)


def batched_nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes (N, 4) that no better one of their group covers, best first; groups: (N,) integers.

    torchvision's, which chooses between two ways by the number of boxes; an exported graph has the one of moved boxes.
    """
    if not torch.compiler.is_exporting():
        return torchvision.ops.batched_nms(boxes, scores, groups, iou_threshold)
    farthest = F.pad(boxes.flatten(), (0, 1)).max()  # one more entry, of 0, so that no boxes are no special case
    moved = boxes + (groups.to(boxes.dtype) * (farthest + 1))[:, None]
    return torchvision.ops.nms(moved, scores, iou_threshold)
