"""The dynamic potential Psi (paper, section A.3): one channel for each stuff class and for each admitted detection.

C classes, S stuff; N admitted detections; h x w cells; K = S + N, and one more with the void channel.
"""

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor, nn

from unipan.choices import Variant
from unipan.ops.boxes import coverage, paste_masks
from unipan.ops.upsample import STRIDE
from unipan.types import Detections


class DynamicPotential(nn.Module):
    """`dynamic_potential` with a network's settings; no parameters."""

    stuff: Tensor
    things: Tensor

    def __init__(
        self, *, stuff: Sequence[int], things: Sequence[int], variant: Variant, score_factor: bool, void_channel: bool
    ) -> None:
        """The class indices of each kind."""
        super().__init__()
        self.register_buffer("stuff", torch.tensor(stuff, dtype=torch.int64), persistent=False)
        self.register_buffer("things", torch.tensor(things, dtype=torch.int64), persistent=False)
        self.variant: Variant = variant
        self.score_factor = score_factor
        self.void_channel = void_channel

    def forward(self, semantic_logits: Tensor, admitted: Detections) -> Tensor:
        """(C, h, w) logits and N detections -> (K, h, w); in float32, whatever the mixed precision."""
        return dynamic_potential(
            semantic_logits.float().softmax(0),
            admitted,
            stuff=self.stuff,
            things=self.things,
            variant=self.variant,
            score_factor=self.score_factor,
            void_channel=self.void_channel,
        )


def dynamic_potential(
    semantic_probs: Tensor,
    detections: Detections,
    *,
    stuff: Tensor,
    things: Tensor,
    variant: Variant,
    score_factor: bool,
    void_channel: bool,
) -> Tensor:
    """(K, h, w): stuff probabilities untouched, then a channel for each detection, then void if it is on.

    semantic_probs: (C, h, w). stuff: (S,) and things: (T,) class indices. N = 0 is a normal value.
    """
    height, width = semantic_probs.shape[-2:]
    inside = coverage(detections.boxes, height, width, STRIDE, detections.image_size)  # (N, h, w), b_i(k)
    semantic = semantic_probs[detections.labels] * inside  # V_i(c_k) inside the box
    match variant:
        case "A":
            channels = semantic
        case "B":
            channels = semantic * _masks(detections, height, width)
        case "C":
            channels = semantic + _masks(detections, height, width) * inside
        case _:
            assert_never(variant)
    if score_factor or variant == "A":
        channels = channels * detections.scores[:, None, None]
    parts = [semantic_probs[stuff], channels]
    if void_channel:
        parts.append(_unclaimed(semantic_probs[things], semantic))
    return torch.cat(parts)


def _masks(detections: Detections, height: int, width: int) -> Tensor:
    assert detections.mask_logits is not None, "variants B and C need a mask head; the config checks it"
    return paste_masks(detections.mask_logits, detections.boxes, height, width, STRIDE)


def _unclaimed(thing_probs: Tensor, claimed: Tensor) -> Tensor:
    """(1, h, w): the largest thing probability minus the largest that an admitted detection claims, floored at 0."""
    zero = thing_probs.new_zeros(1, *thing_probs.shape[-2:])  # so that no things and no detections are no special cases
    largest_thing = torch.cat([zero, thing_probs]).amax(0, keepdim=True)
    largest_claimed = torch.cat([zero, claimed]).amax(0, keepdim=True)
    return (largest_thing - largest_claimed).clamp(min=0)
