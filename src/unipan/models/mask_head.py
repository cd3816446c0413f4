"""Mask R-CNN's mask head, which every detector may have (paper, section A.2), composed of torchvision's parts.

B images; R regions of one image; T thing classes (own label 1..T; 0 is background, which has no mask); M x M cells of a mask.
The modules keep torchvision's names, `roi_heads.mask_head` and `roi_heads.mask_predictor`, in every detector. That is why what
is computed with them stands in functions: torchvision's own RoIHeads holds them too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import box_area

from unipan.models.class_rows import ClassRows
from unipan.models.feature_decoder import group_norm
from unipan.models.proposals import STRIDES
from unipan.ops.instances import crop_instances
from unipan.ops.lovasz import lovasz_hinge
from unipan.ops.precision import full_precision
from unipan.ops.roi_align import roi_align
from unipan.terms import Term
from unipan.types import Detections, Size, Target

MASK_ROWS = {"roi_heads.mask_predictor.mask_fcn_logits": ClassRows(1, background=True)}
"""As `Detector.class_rows` has them."""


class MaskHead(nn.Module):
    """The mask head's weights: RoIAlign on P2..P5, four convolutions, and a predictor with a mask for each class or for all."""

    def __init__(self, *, channels: int, mask_channels: int, norm: bool, num_masks: int, anchor_scale: float) -> None:
        """channels: of the pyramid. mask_channels: width of the convolutions. norm: GroupNorm after each of the four.

        num_masks: 1 for all classes, or T + 1.
        """
        super().__init__()
        self.mask_roi_pool = PyramidRoIAlign(14, anchor_scale)
        self.mask_head = MaskRCNNHeads(channels, (mask_channels,) * 4, 1, group_norm if norm else None)
        self.mask_predictor = MaskRCNNPredictor(mask_channels, mask_channels, num_masks)


class MaskRegions(NamedTuple):
    """The regions of one image whose masks are trained."""

    boxes: Tensor  # (R, 4) x1 y1 x2 y2 in pixels
    labels: Tensor  # (R,) int64, 1..T
    matched: Tensor  # (R,) int64 index of the true thing


class PyramidRoIAlign(nn.Module):
    """RoIAlign on P2..P5, each region on the level of its size; called as torchvision's MultiScaleRoIAlign is.

    torchvision derives the levels' strides by dividing sizes, which goes wrong for images of less than 46 px, whose padding
    weighs most; ours are those of `proposals.STRIDES`.
    """

    def __init__(self, output_size: int, anchor_scale: float) -> None:
        """A region's level follows the anchors: torchvision's 224 px at P4 belongs to anchors of scale 8."""
        super().__init__()
        self.output_size = output_size
        self.size_at_p4_px = round(28 * anchor_scale)

    def forward(self, levels: dict[str, Tensor], boxes: list[Tensor], sizes: list[Size]) -> Tensor:
        """levels: P2..P5, (B, C, h, w). boxes: B times (R, 4) in pixels, or several such groups -> (sum of R, C, M, M)."""
        regions = torch.cat([F.pad(own, (1, 0), value=float(number % len(sizes))) for number, own in enumerate(boxes)])
        octave = torch.log2(box_area(regions[:, 1:]).sqrt() / self.size_at_p4_px)
        level = (4 + octave + 1e-6).floor().clamp(2, 5)  # FPN, eq. 1; the small number as torchvision's
        scales = [1 / stride for stride in STRIDES[: len(levels)]]
        return roi_align(list(levels.values()), scales, regions, level - 2, self.output_size)


def roi_levels(pyramid: Sequence[Tensor]) -> dict[str, Tensor]:
    """P2..P5 as RoIAlign takes them."""
    return {str(level): x for level, x in enumerate(pyramid[:4])}


def own_labels(things: Tensor, labels: Tensor) -> Tensor:
    """Class indices -> 1..T. things: (T,) class indices, ascending."""
    return (things < labels[:, None]).sum(1) + 1  # searchsorted's, for which exported graphs have no operator


def of_own_class(predicted: Tensor, regions: Tensor, labels: Tensor) -> Tensor:
    """(n, ...): what was predicted for n regions' own classes, or, where there is one prediction for all classes, that one.

    predicted: (R, T + 1 or 1, ...). regions: (n,) indices. labels: (n,), 1..T.
    """
    return predicted[regions, labels if predicted.shape[1] > 1 else torch.zeros_like(labels)]


def mask_logits(
    head: MaskHead | RoIHeads, pyramid: Sequence[Tensor], boxes: Sequence[Tensor], labels: Tensor, sizes: Sequence[Size]
) -> Tensor:
    """(sum of R, M, M) logits, for each region those that `of_own_class` takes. boxes: B times (R, 4). labels: (sum of R,)."""
    pooled = head.mask_roi_pool(roi_levels(pyramid), list(boxes), list(sizes))  # pyright: ignore[reportOptionalCall]
    logits = full_precision(head.mask_predictor(head.mask_head(pooled)))  # pyright: ignore[reportOptionalCall]
    return of_own_class(logits, torch.arange(labels.shape[0], device=labels.device), labels)


def mask_loss(
    head: MaskHead | RoIHeads,
    pyramid: Sequence[Tensor],
    regions: Sequence[MaskRegions],
    sizes: Sequence[Size],
    targets: Sequence[Target],
) -> dict[str, Term]:
    """Lovasz hinge of each region's mask (paper, section A.2)."""
    logits = mask_logits(head, pyramid, [r.boxes for r in regions], torch.cat([r.labels for r in regions]), sizes)
    truth = [
        crop_instances(target.instances, r.boxes, r.matched, logits.shape[-1]) for target, r in zip(targets, regions, strict=True)
    ]
    hinge = lovasz_hinge(logits.flatten(1), torch.cat(truth).flatten(1))
    return {"mask": Term(hinge.sum(), hinge.new_full((), len(hinge)))}


def add_masks(
    head: MaskHead | RoIHeads | None,
    pyramid: Sequence[Tensor],
    sizes: Sequence[Size],
    detections: Sequence[Detections],
    things: Tensor,
) -> list[Detections]:
    """B detections, each with a mask where there is a mask head. things: (T,) class indices, ascending."""
    if head is None:
        return list(detections)
    labels = own_labels(things, torch.cat([found.labels for found in detections]))
    logits = mask_logits(head, pyramid, [found.boxes.detach() for found in detections], labels, sizes)
    masks = logits.split([found.boxes.shape[0] for found in detections])
    return [found._replace(mask_logits=mask) for found, mask in zip(detections, masks, strict=True)]
