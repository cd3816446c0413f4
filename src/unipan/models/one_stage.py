"""FCOS: no anchors to choose and no regions to classify again; composed of torchvision's parts (Tian et al., ICCV 2019).

B images; L locations of one image over all levels; G true things; T thing classes. Distances run from a location to a box's four
sides, (left, top, right, bottom), in strides of the location's level.

It works on P3..P6. FCOS starts at P3 as well: eight convolutions on P2 would cost three times as much as on all other levels
together. The price: a thing under 8 px may hold no location, and is then learnt as background.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxLinearCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSClassificationHead, FCOSRegressionHead
from torchvision.ops import box_iou, generalized_box_iou_loss, sigmoid_focal_loss

from unipan.models.class_rows import ClassRows
from unipan.models.detector import best_detections
from unipan.models.feature_decoder import group_norm
from unipan.models.locations import LEVELS, centeredness, responsibility
from unipan.models.mask_head import MASK_ROWS, MaskHead, MaskRegions, add_masks, mask_loss, own_labels
from unipan.models.proposals import grid_anchors
from unipan.ops.candidates import best_of_levels
from unipan.terms import Term
from unipan.types import Detections, Size, Target

MASK_IOU = 0.5
"""Box IoU from which a detection's mask is trained as that of a true thing, as in Mask R-CNN."""


class Predictions(NamedTuple):
    """What the heads say at every location, and where these are."""

    class_logits: Tensor  # (B, L, T)
    distances: Tensor  # (B, L, 4), 0 or more
    centerness_logits: Tensor  # (B, L)
    cells: Tensor  # (L, 4) boxes in pixels


class OneStageDetector(nn.Module):
    """Detections always, losses when truth is given, in one pass (`Detector`)."""

    things: Tensor

    def __init__(
        self,
        *,
        channels: int,
        things: Sequence[int],
        anchor_scale: float,
        before_nms: int,
        mask_samples: int,
        class_agnostic: bool,
        mask_channels: int | None,
        mask_norm: bool,
        score_threshold: float,
        nms: float,
        max_detections: int,
    ) -> None:
        """before_nms: best candidates of each level. mask_samples: regions of one image that the mask loss takes at most.

        anchor_scale: a level learns things whose farthest side is half to one `anchor_scale` of its strides away.
        mask_channels: width of the mask head's convolutions, None for no mask head. mask_norm: GroupNorm after each.
        class_agnostic: a mask is drawn in one way for all classes, as boxes always are here.
        """
        super().__init__()
        self.register_buffer("things", torch.tensor(things), persistent=False)
        self.classification_head = FCOSClassificationHead(channels, 1, len(things), norm_layer=group_norm)
        self.regression_head = FCOSRegressionHead(channels, 1, norm_layer=group_norm)
        self.roi_heads = None
        if mask_channels is not None:
            self.roi_heads = MaskHead(
                channels=channels,
                mask_channels=mask_channels,
                norm=mask_norm,
                num_masks=1 if class_agnostic else len(things) + 1,
                anchor_scale=anchor_scale,
            )
        self.cells = AnchorGenerator(tuple((stride,) for stride in LEVELS), ((1.0,),) * len(LEVELS))
        self.coder = BoxLinearCoder(normalize_by_size=True)
        self.anchor_scale = anchor_scale
        self.before_nms = before_nms
        self.mask_samples = mask_samples
        self.score_threshold = score_threshold
        self.nms = nms
        self.max_detections = max_detections

    def predict(self, pyramid: Sequence[Tensor]) -> Predictions:
        levels = list(pyramid[1:])
        with torch.autocast(levels[0].device.type, enabled=False):  # the last layers of these heads say boxes and scores
            distances, centerness = self.regression_head(levels)
            logits = self.classification_head(levels)
        return Predictions(logits, distances, centerness[..., 0], grid_anchors(self.cells, levels, LEVELS))

    def forward(
        self,
        pyramid: Sequence[Tensor],
        sizes: Sequence[Size],
        targets: Sequence[Target] | None,
        predicted: Sequence[Tensor] | None = None,
    ) -> tuple[list[Detections], dict[str, Term]]:
        predictions = Predictions(*(predicted or self.predict(pyramid)))
        predictions = predictions._replace(cells=predictions.cells.detach())  # a CUDA graph's seem to want a gradient
        per_level = [x.shape[-2] * x.shape[-1] for x in pyramid[1:]]
        detections = [
            self._select(logits, sides, center, predictions.cells, per_level, size)
            for logits, sides, center, size in zip(*predictions[:3], sizes, strict=True)
        ]
        if targets is None:
            return detections, {}
        losses = self._box_losses(predictions, targets)
        if self.roi_heads is not None:
            regions = [self._mask_regions(one.boxes, target) for one, target in zip(detections, targets, strict=True)]
            losses |= mask_loss(self.roi_heads, pyramid, regions, sizes, targets)
        return detections, losses

    def add_masks(self, pyramid: Sequence[Tensor], sizes: Sequence[Size], detections: Sequence[Detections]) -> list[Detections]:
        """The same detections with masks, if there is a mask head (`Detector`)."""
        return add_masks(self.roi_heads, pyramid, sizes, detections, self.things)

    def class_rows(self) -> dict[str, ClassRows]:
        return {"classification_head.cls_logits": ClassRows(1, background=False)} | MASK_ROWS

    def _select(
        self, class_logits: Tensor, distances: Tensor, centerness: Tensor, cells: Tensor, per_level: list[int], size: Size
    ) -> Detections:
        """The detections of one image, best first.

        The score is the root of class probability times centreness, in logarithms, whose gradient exists at 0 too.
        """
        scores = ((F.logsigmoid(class_logits) + F.logsigmoid(centerness)[:, None]) / 2).exp()  # (L, T)
        worthy = scores.detach().where(scores >= self.score_threshold, -torch.inf)
        best = best_of_levels([level.flatten() for level in worthy.split(per_level)], self.before_nms)
        location, position = best // scores.shape[1], best % scores.shape[1]
        boxes = self.coder.decode(distances[location], cells[location])
        limits = {"nms": self.nms, "limit": self.max_detections}
        return best_detections(boxes, scores.flatten()[best], position + 1, size, self.things, **limits)

    def _box_losses(self, predictions: Predictions, targets: Sequence[Target]) -> dict[str, Term]:
        """Focal loss of the classes, GIoU of the boxes, cross-entropy of the centreness; all over the number of positives."""
        cells = predictions.cells
        matched = torch.stack([responsibility(cells, target.boxes, self.anchor_scale) for target in targets])  # (B, L)
        image, location = torch.where(matched >= 0)
        thing = matched[image, location]
        offsets = torch.tensor([0, *(len(target.boxes) for target in targets)], device=thing.device).cumsum(0)
        thing = thing + offsets[image]  # index into the things of all images
        true_boxes = torch.cat([target.boxes for target in targets])[thing]
        true_labels = own_labels(self.things, torch.cat([target.labels for target in targets])[thing])

        wanted = torch.zeros_like(predictions.class_logits)
        wanted[image, location, true_labels - 1] = 1.0
        boxes = self.coder.decode(predictions.distances[image, location], cells[location])
        centerness = centeredness(self.coder.encode(cells[location], true_boxes))
        count = boxes.new_full((), len(thing))
        losses = {
            "box_class": sigmoid_focal_loss(predictions.class_logits, wanted, reduction="sum"),
            "box_regression": generalized_box_iou_loss(boxes, true_boxes, reduction="sum"),
            "centerness": F.binary_cross_entropy_with_logits(
                predictions.centerness_logits[image, location], centerness, reduction="sum"
            ),
        }
        return {name: Term(loss, count) for name, loss in losses.items()}

    def _mask_regions(self, boxes: Tensor, target: Target) -> MaskRegions:
        """The true boxes, and the detections that overlap one by MASK_IOU, best first, as far as `mask_samples` reach.

        There are no proposals to sample. True boxes alone would show the mask head no imperfect box, and at prediction it sees no
        other; detections alone would teach it nothing until they are good.
        """
        overlap = F.pad(box_iou(boxes.detach(), target.boxes), (0, 1))  # one more column, of 0: no things are no special case
        overlap, nearest = overlap.max(1)
        good = overlap >= MASK_IOU
        true = torch.arange(len(target.boxes), device=boxes.device)
        matched = torch.cat([true, nearest[good]])[: self.mask_samples]
        regions = torch.cat([target.boxes, boxes.detach()[good]])[: self.mask_samples]
        return MaskRegions(regions, own_labels(self.things, target.labels[matched]), matched)
