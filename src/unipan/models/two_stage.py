"""Faster R-CNN's box head and, if wanted, Mask R-CNN's mask head (paper, section A.2), composed of torchvision's parts.

B images; R regions of one image; T thing classes (label 0 is background, 1..T the things); M x M cells of a mask.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import MultiScaleRoIAlign

from unipan.models.proposals import SMOOTH_L1_BETA, ProposalNetwork
from unipan.ops.instances import crop_instances
from unipan.ops.lovasz import lovasz_hinge
from unipan.types import Detections, Size, Target, Term, add_terms


class Regions(NamedTuple):
    """Sampled regions of one image and what the truth says of them."""

    chosen: Tensor  # (R,) int64 indices into the candidates
    labels: Tensor  # (R,) int64, 0 for background
    matched: Tensor  # (R,) int64 index of the true thing; meaningless for background


class Positives(NamedTuple):
    """The sampled regions of one image that hold a thing."""

    boxes: Tensor  # (R, 4) x1 y1 x2 y2 in pixels
    labels: Tensor  # (R,) int64, 1..T
    matched: Tensor  # (R,) int64 index of the true thing


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
        mask_channels: int | None,
        score_threshold: float,
        nms: float,
        max_detections: int,
    ) -> None:
        """mask_channels: width of the mask head's convolutions, None for no mask head."""
        super().__init__()
        self.register_buffer("things", torch.tensor(things), persistent=False)
        self.proposals = proposals
        masks = mask_channels is not None
        self.roi_heads = RoIHeads(
            _roi_align(7, anchor_scale),
            TwoMLPHead(channels * 7 * 7, box_channels),
            FastRCNNPredictor(box_channels, len(things) + 1),
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=roi_samples,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=score_threshold,
            nms_thresh=nms,
            detections_per_img=max_detections,
            mask_roi_pool=_roi_align(14, anchor_scale) if masks else None,
            mask_head=MaskRCNNHeads(channels, (mask_channels,) * 4, 1) if masks else None,
            mask_predictor=MaskRCNNPredictor(mask_channels, mask_channels, len(things) + 1) if masks else None,
        )

    def forward(
        self, pyramid: Sequence[Tensor], sizes: Sequence[Size], targets: Sequence[Target] | None
    ) -> tuple[list[Detections], dict[str, Term]]:
        features = {str(level): x for level, x in enumerate(pyramid[:4])}
        proposals, losses = self.proposals(pyramid, sizes, targets)
        class_logits, deltas = self._box_head(features, proposals, sizes)
        detections = self._detections(features, class_logits, deltas, proposals, sizes)
        if targets is not None:
            losses |= self._losses(features, class_logits, deltas, proposals, sizes, targets)
        return detections, losses

    def _box_head(self, features: dict[str, Tensor], boxes: list[Tensor], sizes: Sequence[Size]) -> tuple[Tensor, Tensor]:
        """(sum of R, T + 1) class logits and (sum of R, 4 (T + 1)) box deltas."""
        pooled = self.roi_heads.box_roi_pool(features, boxes, list(sizes))
        return self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))

    def _detections(
        self, features: dict[str, Tensor], class_logits: Tensor, deltas: Tensor, proposals: list[Tensor], sizes: Sequence[Size]
    ) -> list[Detections]:
        boxes, scores, labels = self.roi_heads.postprocess_detections(class_logits, deltas, proposals, list(sizes))
        masks: Sequence[Tensor | None] = [None] * len(boxes)
        if self.roi_heads.has_mask():
            every = self._mask_logits(features, [b.detach() for b in boxes], torch.cat(labels), sizes)
            masks = every.split([len(b) for b in boxes])
        return [
            Detections(b, s, self.things[label - 1], mask) for b, s, label, mask in zip(boxes, scores, labels, masks, strict=True)
        ]

    def _mask_logits(self, features: dict[str, Tensor], boxes: list[Tensor], labels: Tensor, sizes: Sequence[Size]) -> Tensor:
        """(sum of R, M, M) logits, for each region those of its own class."""
        pooled = self.roi_heads.mask_roi_pool(features, boxes, list(sizes))  # pyright: ignore[reportOptionalCall]
        logits = self.roi_heads.mask_predictor(self.roi_heads.mask_head(pooled))  # pyright: ignore[reportOptionalCall]
        return logits[torch.arange(len(labels), device=labels.device), labels]

    def _losses(
        self,
        features: dict[str, Tensor],
        class_logits: Tensor,
        deltas: Tensor,
        proposals: list[Tensor],
        sizes: Sequence[Size],
        targets: Sequence[Target],
    ) -> dict[str, Term]:
        """Box and mask losses over sampled proposals and the true boxes (which never enter the detections)."""
        true_boxes = [target.boxes for target in targets]
        # A pass of its own: one more row in the proposals' matrix product could change their rounding, and so the answer.
        true_logits, true_deltas = self._box_head(features, true_boxes, sizes)
        predicted = zip(*(x.split([len(p) for p in proposals]) for x in (class_logits, deltas)), strict=True)
        extra = zip(*(x.split([len(t) for t in true_boxes]) for x in (true_logits, true_deltas)), strict=True)
        parts: list[dict[str, Term]] = []
        positives: list[Positives] = []
        for boxes, head, true_head, target in zip(proposals, predicted, extra, targets, strict=True):
            candidates = torch.cat([boxes, target.boxes])
            regions = self._sample(candidates, target)
            logits, delta = (torch.cat(pair)[regions.chosen] for pair in zip(head, true_head, strict=True))
            chosen_boxes = candidates[regions.chosen]
            parts.append(self._box_losses(logits, delta, chosen_boxes, regions, target))
            kept = regions.labels > 0
            positives.append(Positives(chosen_boxes[kept], regions.labels[kept], regions.matched[kept]))
        if self.roi_heads.has_mask():
            parts.append(self._mask_loss(features, positives, sizes, targets))
        return add_terms(parts)

    def _mask_loss(
        self, features: dict[str, Tensor], positives: list[Positives], sizes: Sequence[Size], targets: Sequence[Target]
    ) -> dict[str, Term]:
        """Lovasz hinge of each positive region's mask (paper, section A.2)."""
        logits = self._mask_logits(features, [p.boxes for p in positives], torch.cat([p.labels for p in positives]), sizes)
        truth = [
            crop_instances(target.instances, p.boxes, p.matched, logits.shape[-1])
            for target, p in zip(targets, positives, strict=True)
        ]
        hinge = lovasz_hinge(logits.flatten(1), torch.cat(truth).flatten(1))
        return {"mask": Term(hinge.sum(), hinge.new_tensor(float(len(hinge))))}

    def _sample(self, candidates: Tensor, target: Target) -> Regions:
        """Regions for the losses: matched to the truth at box IoU 0.5, at most a quarter positive (Fast R-CNN, section 2.3)."""
        own_label = torch.searchsorted(self.things, target.labels) + 1  # class index -> 1..T; `things` is ascending
        matched, labels = self.roi_heads.assign_targets_to_proposals([candidates], [target.boxes], [own_label])
        positive, negative = self.roi_heads.fg_bg_sampler(labels)
        chosen = torch.where(positive[0] | negative[0])[0]
        return Regions(chosen, labels[0][chosen], matched[0][chosen])

    def _box_losses(self, logits: Tensor, deltas: Tensor, boxes: Tensor, regions: Regions, target: Target) -> dict[str, Term]:
        """Cross-entropy over all sampled regions; smooth L1 over the positive ones' deltas of their own class."""
        count = logits.new_tensor(float(len(regions.chosen)))
        positive = torch.where(regions.labels > 0)[0]
        class_loss = F.cross_entropy(logits, regions.labels, reduction="sum")
        wanted = self.roi_heads.box_coder.encode_single(target.boxes[regions.matched[positive]], boxes[positive])
        predicted = deltas.view(len(deltas), -1, 4)[positive, regions.labels[positive]]
        box_loss = F.smooth_l1_loss(predicted, wanted, beta=SMOOTH_L1_BETA, reduction="sum")
        return {"box_class": Term(class_loss, count), "box_regression": Term(box_loss, count)}


def _roi_align(output_size: int, anchor_scale: float) -> MultiScaleRoIAlign:
    """RoIAlign whose level for a region follows the anchors: torchvision's 224 px at P4 belongs to anchors of scale 8."""
    return MultiScaleRoIAlign(["0", "1", "2", "3"], output_size, 2, canonical_scale=round(28 * anchor_scale))
