"""What every detector promises: detections always, losses when truth is given, in one pass. And the one for no things."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image

from unipan.models.class_rows import ClassRows
from unipan.ops.candidates import batched_nms
from unipan.terms import Term
from unipan.types import Detections, Size, Target

MIN_SIDE_PX = 1e-2
"""Smaller boxes are no detections, as in torchvision's Faster R-CNN."""


class Detector(Protocol):
    """One interface, because the paper promises that the detector is easy to replace (section A.2)."""

    def predict(self, pyramid: Sequence[Tensor]) -> Sequence[Tensor]:
        """What it predicts in every cell, for its own call to read. Shapes alone say which operations this takes."""
        ...

    def __call__(
        self,
        pyramid: Sequence[Tensor],
        sizes: Sequence[Size],
        targets: Sequence[Target] | None,
        predicted: Sequence[Tensor] | None = None,
    ) -> tuple[list[Detections], dict[str, Term]]:
        """pyramid: P2..P6, (B, channels, H / stride, W / stride). sizes: B true sizes in pixels. predicted: by `predict`.

        Returns B detections, best first, without masks, with boxes and scores that carry gradients, the same with and without
        targets; and the loss terms, {} without targets.
        """
        ...

    def add_masks(self, pyramid: Sequence[Tensor], sizes: Sequence[Size], detections: Sequence[Detections]) -> list[Detections]:
        """The same detections with mask logits, whose gradient does not reach the boxes; as they are without a mask head."""
        ...

    def class_rows(self) -> dict[str, ClassRows]:
        """The layers, by their names within the detector, that have rows for each class of things.

        A network with other classes starts from a run's rows of those that both know.
        """
        ...


class NoDetector(nn.Module):
    """The detector of a class table without things: it finds nothing."""

    def predict(self, pyramid: Sequence[Tensor]) -> Sequence[Tensor]:
        return ()

    def forward(
        self,
        pyramid: Sequence[Tensor],
        sizes: Sequence[Size],
        targets: Sequence[Target] | None,
        predicted: Sequence[Tensor] | None = None,
    ) -> tuple[list[Detections], dict[str, Term]]:
        level = pyramid[0]
        boxes, scores = level.new_zeros(0, 4), level.new_zeros(0)
        return [Detections(boxes, scores, scores.long())] * len(sizes), {}

    def add_masks(self, pyramid: Sequence[Tensor], sizes: Sequence[Size], detections: Sequence[Detections]) -> list[Detections]:
        nothing = pyramid[0].new_zeros(0, 1, 1)  # every variant takes them
        return [found._replace(mask_logits=nothing) for found in detections]

    def class_rows(self) -> dict[str, ClassRows]:
        return {}


def best_detections(
    boxes: Tensor, scores: Tensor, own_labels: Tensor, size: Size, things: Tensor, *, nms: float, limit: int
) -> Detections:
    """The best `limit` of one image's candidates that no better one of their class covers, cut off at the image's border.

    boxes: (R, 4) in pixels; scores and own_labels, of 1..T: (R,). things: (T,) class indices.
    """
    boxes = clip_boxes_to_image(boxes, size)
    large = ((boxes[:, 2:] - boxes[:, :2]) >= MIN_SIDE_PX).all(1)
    boxes, scores, own_labels = boxes[large], scores[large], own_labels[large]
    kept = batched_nms(boxes.detach(), scores.detach(), own_labels, nms)[:limit]
    return Detections(boxes[kept], scores[kept], things[own_labels[kept] - 1])
