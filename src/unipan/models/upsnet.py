"""UPSNet's parameter-free panoptic head, from its paper's description (Xiong et al., CVPR 2019).

Channels: the stuff classes' semantic logits; for each instance X_seg + X_mask; and unknown, for things that no instance claims.
C classes, S stuff and T thing ones; N detections of one image; h x w cells (or pixels) of `stride` pixels a side.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unipan.classes import ClassTable
from unipan.models.decode import class_inside_box, confident, map_of_channels, only
from unipan.ops.boxes import coverage, paste
from unipan.ops.upsample import STRIDE
from unipan.types import Detections, PanopticMap

MAX_OVERLAP = 0.3
"""An instance is dropped when a larger share of its mask is covered by better ones of its class (published)."""
NEVER = -1e4
"""A logit that no softmax chooses; finite, because interpolation multiplies logits by 0."""
MASK_FREE = "UPSNet's head has no masks here: X_mask is 0, and overlaps are judged by the pixels of a class in its boxes."


class UpsnetPotential(nn.Module):
    """The head as a network trains with it, in the place of the dynamic potential: no parameters, logits of every channel.

    UPSNet trains it with true boxes; here the detections that train it are a setting, the same for every head.
    """

    stuff: Tensor
    things: Tensor

    def __init__(self, *, stuff: Sequence[int], things: Sequence[int]) -> None:
        """The class indices of each kind."""
        super().__init__()
        self.register_buffer("stuff", torch.tensor(stuff, dtype=torch.int64), persistent=False)
        self.register_buffer("things", torch.tensor(things, dtype=torch.int64), persistent=False)

    def forward(self, semantic_logits: Tensor, admitted: Detections) -> Tensor:
        """(C, h, w) logits and N detections -> (S + N + 1, h, w) logits, in float32 whatever the mixed precision."""
        return upsnet_logits(semantic_logits.float(), admitted, stuff=self.stuff, things=self.things, stride=STRIDE)


def upsnet_logits(semantic_logits: Tensor, detections: Detections, *, stuff: Tensor, things: Tensor, stride: int) -> Tensor:
    """(S + N + 1, h, w): every channel's logits. semantic_logits: (C, h, w). stuff: (S,) and things: (T,) class indices."""
    segment, mask = instance_logits(semantic_logits, detections, stride)
    claimed = segment.amax(0) if len(segment) else torch.zeros_like(semantic_logits[0])
    return torch.cat([semantic_logits[stuff], segment + mask, unknown_logit(semantic_logits[things], claimed)[None]])


def instance_logits(semantic_logits: Tensor, detections: Detections, stride: int) -> tuple[Tensor, Tensor]:
    """X_seg, the semantic logit of each detection's class, and X_mask, its mask logit; (N, h, w) each, 0 outside the box.

    Cells at the box's border count by the share that it covers. Without masks X_mask is 0.
    """
    height, width = semantic_logits.shape[-2:]
    inside = coverage(detections.boxes, height, width, stride, detections.image_size)
    segment = semantic_logits[detections.labels] * inside
    if detections.mask_logits is None:
        return segment, torch.zeros_like(segment)
    return segment, paste(detections.mask_logits.to(inside.dtype), detections.boxes, height, width, stride) * inside


def unknown_logit(thing_logits: Tensor, claimed: Tensor) -> Tensor:
    """(h, w): the largest thing logit (T, h, w) minus `claimed`, the largest X_seg: high on things that no instance explains."""
    return thing_logits.amax(0) - claimed if len(thing_logits) else torch.full_like(claimed, NEVER)


def decode_upsnet(
    semantic_logits: Tensor, detections: Detections, *, score_threshold: float, max_overlap: float, classes: ClassTable
) -> PanopticMap:
    """Arg max over the head's channels at full resolution, for the instances that outlive the pruning; unknown is void.

    Instances of at least `score_threshold` go best first; one is dropped when more than `max_overlap` of its mask (X_mask over 0)
    is covered by kept ones of its class. The published program's vote of the semantic map on each instance is left out: it is no
    part of the head.

    semantic_logits: (C, H, W). detections: boxes in the same pixels.
    """
    found = confident(detections, score_threshold)
    stuff, things = (torch.tensor(i, dtype=torch.int64, device=semantic_logits.device) for i in (classes.stuff, classes.things))
    best_class = semantic_logits.argmax(0)
    # One instance at a time, because each choice depends on those before it, and because all at full resolution would fill
    # the memory. Channel -1 is nothing yet: it loses to every logit.
    nothing = semantic_logits.new_full((1, *best_class.shape), -torch.inf)
    best, channel = torch.cat([nothing, semantic_logits[stuff]]).max(0)
    channel = channel - 1
    taken = torch.zeros_like(semantic_logits, dtype=torch.bool)  # by kept instances of each class
    claimed = nothing[0] if len(found.scores) else torch.zeros_like(best)
    for position in range(len(found.scores)):
        one = only(found, position)
        segment, mask = (logits[0] for logits in instance_logits(semantic_logits, one, stride=1))
        own = class_inside_box(one, best_class) if one.mask_logits is None else mask > 0
        covered = taken[one.labels][0]
        kept = (own & covered).sum() <= max_overlap * own.sum()
        taken[one.labels] = (covered | (own & kept))[None]
        better = kept & (segment + mask > best)
        best = torch.where(better, segment + mask, best)
        channel = torch.where(better, len(stuff) + position, channel)
        claimed = torch.where(kept, claimed.maximum(segment), claimed)
    unknown = unknown_logit(semantic_logits[things], claimed) > best
    return map_of_channels(channel.masked_fill(unknown, len(stuff) + len(found.scores)), found, classes)
