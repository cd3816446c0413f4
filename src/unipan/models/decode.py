"""From panoptic logits to the answer: bilinear to pixels, arg max, and nothing after it.

K channels: S stuff, N admitted detections, and void if the network has it; h x w cells at stride 4; H x W pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import VOID_ID, ClassTable
from unipan.ops.segments import Label, panoptic_map
from unipan.ops.upsample import upsample_logits
from unipan.types import Detections, PanopticMap, Size

CHUNK = 16
"""Channels brought to full resolution at once, so that memory does not grow with the number of detections."""


def decode(panoptic_logits: Tensor, admitted: Detections, *, network_size: Size, size: Size, classes: ClassTable) -> PanopticMap:
    """The answer at `size`, the photo's own; `network_size` is what the network saw, before its padding.

    panoptic_logits: (K, h, w). admitted: the N detections of the thing channels, in order. Channel k gets id k + 1; a channel
    past the detections is void.
    """
    channel = best_channel(panoptic_logits, network_size, size).cpu()
    scores, labels = admitted.scores.tolist(), admitted.labels.tolist()
    stuff = [Label(id=k + 1, class_index=index) for k, index in enumerate(classes.stuff)]
    things = [
        Label(id=len(stuff) + n + 1, class_index=label, score=score)
        for n, (label, score) in enumerate(zip(labels, scores, strict=True))
    ]
    ids = torch.where(channel < len(stuff) + len(things), channel + 1, VOID_ID)
    return panoptic_map(ids.to(torch.int32), stuff + things, classes)


def best_channel(logits: Tensor, network_size: Size, size: Size) -> Tensor:
    """(H, W) int64 arg max over the channels at full resolution; all K for K = 0 (nothing could be chosen)."""
    best = logits.new_full(size, -torch.inf)
    channel = torch.full(size, len(logits), dtype=torch.int64, device=logits.device)
    for start in range(0, len(logits), CHUNK):
        part = at_size(logits[start : start + CHUNK], network_size, size)
        value, index = part.max(0)
        better = value > best
        best = torch.where(better, value, best)
        channel = torch.where(better, index + start, channel)
    return channel


def at_size(logits: Tensor, network_size: Size, size: Size) -> Tensor:
    """(K, h, w) -> (K, H, W), bilinear: from cells to the network's pixels as in training, then to the photo's."""
    pixels = upsample_logits(logits, network_size)
    if network_size == size:
        return pixels
    return F.interpolate(pixels[None], size, mode="bilinear", align_corners=False)[0]
