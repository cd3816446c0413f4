"""What the semantic and the panoptic loss share: classifying pixels. K channels, H x W pixels, n of them not ignored."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.ops.lovasz import lovasz_softmax
from unipan.terms import Term

IGNORE = -100
"""A pixel that no loss and no normaliser counts, in (H, W) int64 maps of channels."""


def pixel_cross_entropy(logits: Tensor, channels: Tensor) -> Term:
    """Softmax cross-entropy, summed over the pixels that count. logits: (K, H, W). channels: (H, W), 0..K-1 or IGNORE."""
    # Summed here and not by cross_entropy, whose own reduction of maps isn't deterministic on GPUs.
    losses = F.cross_entropy(logits[None], channels[None], ignore_index=IGNORE, reduction="none")
    return Term(losses.sum(), (channels != IGNORE).sum(dtype=losses.dtype))


def pixel_lovasz(logits: Sequence[Tensor], channels: Sequence[Tensor]) -> Term:
    """One Lovasz-softmax over the pixels of all given images together; count 0 if there is none, else 1.

    logits: (K, H, W) of each image, with one K; channels: (H, W) of each, 0..K-1 or IGNORE.
    """
    labels = torch.cat([image_channels.flatten() for image_channels in channels])
    flat = [image_logits.flatten(1) for image_logits in logits]
    pixels = flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)  # torch.cat copies a single tensor too
    loss = lovasz_softmax(pixels.softmax(0), labels)
    return Term(loss, (labels != IGNORE).any().to(loss.dtype))
