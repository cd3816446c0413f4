"""Faster R-CNN's box head and, if wanted, Mask R-CNN's mask head (paper, section A.2), composed of torchvision's parts.

B images; R regions of one image; T thing classes (label 0 is background, 1..T the things).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads

from unipan.models.class_rows import ClassRows
from unipan.models.detector import best_detections
from unipan.models.mask_head import (
    MASK_ROWS,
    MaskHead,
    MaskRegions,
    PyramidRoIAlign,
    add_masks,
    mask_loss,
    of_own_class,
    own_labels,
    roi_levels,
)
from unipan.models.proposals import SMOOTH_L1_BETA, Anchored, ProposalNetwork
from unipan.models.sampling import sample_balanced
from unipan.ops.precision import in_float32
from unipan.terms import Term, add_terms
from unipan.types import Detections, Size, Target


class Regions(NamedTuple):
    """Sampled regions of one image and what the truth says of them."""

    chosen: Tensor  # (R,) int64 indices into the candidates
    labels: Tensor  # (R,) int64, 0 for background
    matched: Tensor  # (R,) int64 index of the true thing; meaningless for background


class BoxOutputs(NamedTuple):
    """What the box head predicts for boxes of one image."""

    class_logits: Tensor  # (R, T + 1)
    deltas: Tensor  # (R, 4 (T + 1)), or (R, 4) for all classes


class TwoStageDetector(nn.Module):
    """Detections always, losses when truth is given, in one pass (`Detector`)."""

    things: Tensor

    def __init__(
        self,
        *,
        proposals: ProposalNetwork,
        channels: int,
        things: Sequence[int],
        anchor_scale: float,
        roi_samples: int,
        box_channels: int,
        class_agnostic: bool,
        mask_channels: int | None,
        mask_norm: bool,
        score_threshold: float,
        nms: float,
        max_detections: int,
    ) -> None:
        """mask_channels: width of the mask head's convolutions, None for no mask head. mask_norm: GroupNorm after each.

        class_agnostic: a region's box is moved, and its mask drawn, in one way for all classes.
        """
        super().__init__()
        self.samples = roi_samples
        self.register_buffer("things", torch.tensor(things), persistent=False)
        self.proposals = proposals
        box_head = TwoMLPHead(channels * 7 * 7, box_channels)
        box_predictor = FastRCNNPredictor(box_channels, len(things) + 1)
        if class_agnostic:
            box_predictor.bbox_pred = nn.Linear(box_channels, 4)
        masks = None
        if mask_channels is not None:
            masks = MaskHead(
                channels=channels,
                mask_channels=mask_channels,
                norm=mask_norm,
                num_masks=1 if class_agnostic else len(things) + 1,
                anchor_scale=anchor_scale,
            )
        self.roi_heads = RoIHeads(
            PyramidRoIAlign(7, anchor_scale),
            box_head,
            box_predictor,
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=roi_samples,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=score_threshold,
            nms_thresh=nms,
            detections_per_img=max_detections,
            mask_roi_pool=masks and masks.mask_roi_pool,
            mask_head=masks and masks.mask_head,
            mask_predictor=masks and masks.mask_predictor,
        )

    def predict(self, pyramid: Sequence[Tensor]) -> Anchored:
        return self.proposals.predict(pyramid)

    def forward(
        self,
        pyramid: Sequence[Tensor],
        sizes: Sequence[Size],
        targets: Sequence[Target] | None,
        predicted: Sequence[Tensor] | None = None,
    ) -> tuple[list[Detections], dict[str, Term]]:
        proposals, losses = self.proposals(pyramid, sizes, targets, predicted)
        # The true boxes never enter the detections, not even as rows of one product, which could round the others in another way.
        groups = [proposals] if targets is None else [proposals, [target.boxes for target in targets]]
        by_group = self._box_head(pyramid, groups, sizes)
        detections = [self._select(*image) for image in zip(by_group[0], proposals, sizes, strict=True)]
        if targets is not None:
            losses |= self._losses(pyramid, by_group, proposals, sizes, targets)
        return detections, losses

    def add_masks(self, pyramid: Sequence[Tensor], sizes: Sequence[Size], detections: Sequence[Detections]) -> list[Detections]:
        """The same detections with masks, if there is a mask head (`Detector`)."""
        return add_masks(self._mask_head, pyramid, sizes, detections, self.things)

    def class_rows(self) -> dict[str, ClassRows]:
        predictor = "roi_heads.box_predictor"
        return {f"{predictor}.cls_score": ClassRows(1, True), f"{predictor}.bbox_pred": ClassRows(4, True)} | MASK_ROWS

    @property
    def _mask_head(self) -> RoIHeads | None:
        """Where the mask head's modules are, if there is one."""
        return self.roi_heads if self.roi_heads.has_mask() else None

    def _box_head(
        self, pyramid: Sequence[Tensor], groups: Sequence[list[Tensor]], sizes: Sequence[Size]
    ) -> list[list[BoxOutputs]]:
        """groups: of boxes, each B times (R, 4). The outputs of each group, B times; they don't depend on the other groups."""
        pooled = self.roi_heads.box_roi_pool(roi_levels(pyramid), [own for boxes in groups for own in boxes], list(sizes))
        numbers = [[own.shape[0] for own in boxes] for boxes in groups]
        features = map(self.roi_heads.box_head, pooled.split([*map(sum, numbers)]))
        predicted = [in_float32(self.roi_heads.box_predictor, part) for part in features]
        by_image = [zip(*(x.split(n) for x in pair), strict=True) for pair, n in zip(predicted, numbers, strict=True)]
        return [[BoxOutputs(*image) for image in group] for group in by_image]

    def _select(self, predicted: BoxOutputs, proposals: Tensor, size: Size) -> Detections:
        """The detections of one image, best first: every proposal stands once for each class."""
        scores = predicted.class_logits.softmax(1)[:, 1:]  # (R, T)
        boxes = self.roi_heads.box_coder.decode_single(predicted.deltas, proposals).unflatten(1, (-1, 4))
        region, thing = torch.where(scores > self.roi_heads.score_thresh)
        limits = {"nms": self.roi_heads.nms_thresh, "limit": self.roi_heads.detections_per_img}
        own = of_own_class(boxes, region, thing + 1)
        return best_detections(own, scores[region, thing], thing + 1, size, self.things, **limits)

    def _losses(
        self,
        pyramid: Sequence[Tensor],
        by_group: Sequence[Sequence[BoxOutputs]],
        proposals: list[Tensor],
        sizes: Sequence[Size],
        targets: Sequence[Target],
    ) -> dict[str, Term]:
        """Box and mask losses over sampled proposals and the true boxes; by_group: what is predicted for the two."""
        parts, positives = list[dict[str, Term]](), list[MaskRegions]()
        for boxes, *predicted, target in zip(proposals, *by_group, targets, strict=True):
            candidates = torch.cat([boxes, target.boxes])
            regions = self._sample(candidates, target)
            logits, delta = (torch.cat(both)[regions.chosen] for both in zip(*predicted, strict=True))
            chosen_boxes = candidates[regions.chosen]
            parts.append(self._box_losses(logits, delta, chosen_boxes, regions, target))
            kept = regions.labels > 0
            positives.append(MaskRegions(chosen_boxes[kept], regions.labels[kept], regions.matched[kept]))
        if self._mask_head is not None:
            parts.append(mask_loss(self._mask_head, pyramid, positives, sizes, targets))
        return add_terms(parts)

    def _sample(self, candidates: Tensor, target: Target) -> Regions:
        """Regions for the losses: matched to the truth at box IoU 0.5, at most a quarter positive (Fast R-CNN, section 2.3)."""
        true_labels = own_labels(self.things, target.labels)
        matched, labels = self.roi_heads.assign_targets_to_proposals([candidates], [target.boxes], [true_labels])
        # The next seed: the image's own one drew the anchors.
        chosen = torch.cat(sample_balanced(labels[0], size=self.samples, positive_fraction=0.25, seed=target.seed + 1))
        return Regions(chosen, labels[0][chosen], matched[0][chosen])

    def _box_losses(self, logits: Tensor, deltas: Tensor, boxes: Tensor, regions: Regions, target: Target) -> dict[str, Term]:
        """Cross-entropy over all sampled regions; smooth L1 over the positive ones' deltas, of their own class or of all."""
        count = logits.new_full((), len(regions.chosen))
        positive = torch.where(regions.labels > 0)[0]
        class_loss = F.cross_entropy(logits, regions.labels, reduction="sum")
        wanted = self.roi_heads.box_coder.encode_single(target.boxes[regions.matched[positive]], boxes[positive])
        predicted = of_own_class(deltas.view(len(deltas), -1, 4), positive, regions.labels[positive])
        box_loss = F.smooth_l1_loss(predicted, wanted, beta=SMOOTH_L1_BETA, reduction="sum")
        return {"box_class": Term(class_loss, count), "box_regression": Term(box_loss, count)}
