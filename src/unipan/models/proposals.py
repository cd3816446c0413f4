"""The region proposal network: torchvision's parts, with loss terms that add up over images.

B images; A anchors of one image over all levels.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead, concat_box_prediction_layers
from torchvision.ops import clip_boxes_to_image, remove_small_boxes

from unipan.models.sampling import sample_balanced
from unipan.ops.candidates import batched_nms, best_of_levels
from unipan.ops.precision import in_float32
from unipan.terms import Term
from unipan.types import Size, Target

STRIDES = (4, 8, 16, 32, 64)
"""Of P2..P6."""
SMOOTH_L1_BETA = 1 / 9
"""Where the box losses turn from square to linear, as in torchvision."""


def grid_anchors(generator: AnchorGenerator, levels: Sequence[Tensor], strides: Sequence[int]) -> Tensor:
    """(A, 4) anchors of one image, level by level; `strides` are those of the levels.

    They are stated because torchvision would guess them from sizes, and P6's comes out wrong on odd grids.
    """
    first = levels[0]
    generator.set_cell_anchors(first.dtype, first.device)
    steps: Any = [[stride, stride] for stride in strides]  # numbers: a tensor of each would be a copy that a GPU is waited for
    return torch.cat(generator.grid_anchors([[x.shape[-2], x.shape[-1]] for x in levels], steps))


class Anchored(NamedTuple):
    """What is predicted for the anchors of B images, level by level."""

    objectness: Tensor  # (B * A, 1) logits
    deltas: Tensor  # (B * A, 4)
    anchors: Tensor  # (A, 4) in pixels


class ProposalNetwork(nn.Module):
    """Where might there be things? Proposals carry no gradient; training and inference keep the same number."""

    def __init__(
        self,
        *,
        channels: int,
        anchor_scale: float,
        aspect_ratios: Sequence[float],
        before_nms: int,
        proposals: int,
        nms: float,
        samples: int,
    ) -> None:
        super().__init__()
        self.samples = samples
        self.before_nms = before_nms
        self.proposals = proposals
        self.nms = nms
        self._num_anchors = len(aspect_ratios)  # of a cell
        anchors = AnchorGenerator(
            sizes=tuple((anchor_scale * stride,) for stride in STRIDES),  # pyright: ignore[reportArgumentType]
            aspect_ratios=(tuple(aspect_ratios),) * len(STRIDES),
        )
        self.rpn = RegionProposalNetwork(
            anchors,
            RPNHead(channels, len(aspect_ratios)),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=samples,
            positive_fraction=0.5,
            pre_nms_top_n={"training": before_nms, "testing": before_nms},
            post_nms_top_n={"training": proposals, "testing": proposals},
            nms_thresh=nms,
        )

    def predict(self, pyramid: Sequence[Tensor]) -> Anchored:
        """pyramid: P2..P6."""
        levels = list(pyramid)
        objectness, deltas = concat_box_prediction_layers(*self._read(levels))
        return Anchored(objectness, deltas, grid_anchors(self.rpn.anchor_generator, levels, STRIDES))

    def forward(
        self,
        pyramid: Sequence[Tensor],
        sizes: Sequence[Size],
        targets: Sequence[Target] | None,
        predicted: Sequence[Tensor] | None = None,
    ) -> tuple[list[Tensor], dict[str, Term]]:
        """pyramid: P2..P6. predicted: `predict`'s. Returns B proposals (R, 4) in pixels, and loss terms, {} without targets."""
        objectness, deltas, anchors = predicted or self.predict(pyramid)
        anchors = anchors.detach()  # all that a CUDA graph gives seems to want a gradient
        per_level = [self._num_anchors * level.shape[2] * level.shape[3] for level in pyramid]
        boxes = self.rpn.box_coder.decode_single(deltas.detach(), anchors.repeat(len(sizes), 1)).view(len(sizes), -1, 4)
        scores = objectness.detach().view(len(sizes), -1)
        proposals = [self._select(b, s, per_level, size) for b, s, size in zip(boxes, scores, sizes, strict=True)]
        losses = {} if targets is None else self._losses(objectness, deltas, anchors, targets)
        return proposals, losses

    def _read(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Objectness logits and box deltas of each level, as the head's own pass has them.

        Both readers are one convolution here, their own passes are not called: the large map that they read gets one gradient.
        """
        head: Any = self.rpn.head
        readers = (head.cls_logits, head.bbox_pred)
        weight, bias = (torch.cat([getattr(reader, name) for reader in readers]) for name in ("weight", "bias"))
        channels = [reader.out_channels for reader in readers]
        read = partial(F.conv2d, weight=weight, bias=bias)
        objectness, deltas = zip(*(in_float32(read, head.conv(level)).split(channels, 1) for level in levels), strict=True)
        return list(objectness), list(deltas)

    def _select(self, boxes: Tensor, scores: Tensor, per_level: list[int], size: Size) -> Tensor:
        """(R, 4) proposals of one image, best first; those of a level suppress each other. boxes: (A, 4). scores: (A,) logits."""
        best = best_of_levels(scores.split(per_level), self.before_nms)
        level = torch.cat([best.new_full((number,), depth) for depth, number in enumerate(per_level)])[best]
        boxes, scores = clip_boxes_to_image(boxes[best], size), scores[best].sigmoid()
        large = remove_small_boxes(boxes, self.rpn.min_size)
        boxes, scores, level = boxes[large], scores[large], level[large]
        return boxes[batched_nms(boxes, scores, level, self.nms)[: self.proposals]]

    def _losses(self, objectness: Tensor, deltas: Tensor, anchors: Tensor, targets: Sequence[Target]) -> dict[str, Term]:
        """Objectness and box regression over sampled anchors (Faster R-CNN, section 3.1.2)."""
        every = [anchors] * len(targets)
        labels, matched = self.rpn.assign_targets_to_anchors(every, [{"boxes": target.boxes} for target in targets])
        wanted = torch.cat(self.rpn.box_coder.encode(matched, every))
        drawn = [
            sample_balanced(own, size=self.samples, positive_fraction=0.5, seed=target.seed)
            for own, target in zip(labels, targets, strict=True)
        ]
        starts = range(0, len(drawn) * len(anchors), len(anchors))
        positive = torch.cat([first + some for first, (some, _) in zip(starts, drawn, strict=True)])
        sampled = torch.cat([positive, *(first + some for first, (_, some) in zip(starts, drawn, strict=True))])
        count = objectness.new_full((), len(sampled))
        class_loss = F.binary_cross_entropy_with_logits(objectness[sampled, 0], torch.cat(labels)[sampled], reduction="sum")
        box_loss = F.smooth_l1_loss(deltas[positive], wanted[positive], beta=SMOOTH_L1_BETA, reduction="sum")
        return {"rpn_objectness": Term(class_loss, count), "rpn_box": Term(box_loss, count)}
