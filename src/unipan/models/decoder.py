"""The feature decoder of the semantic head and of the affinity head (paper, Fig. A)."""

from collections.abc import Sequence
from itertools import pairwise
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unipan.ops.deform import deform_conv


class AnyGroupNorm(nn.GroupNorm):
    """GroupNorm that also takes groups of a single value (a narrow network on a map of one cell), which it turns into 0.

    torch.nn.GroupNorm refuses them, as batch norm must; here no statistics are kept that they could spoil.
    """

    def forward(self, input: Tensor) -> Tensor:
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


def group_norm(channels: int) -> nn.GroupNorm:
    """In 32 groups, or as many as divide the channels (Wu and He, ECCV 2018; the paper uses it wherever it normalises)."""
    return AnyGroupNorm(gcd(32, channels), channels)


class DeformBlock(nn.Module):
    """3x3 deformable convolution, GroupNorm, ReLU. Offsets start at zero, so it starts as a plain convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.offsets = nn.Conv2d(in_channels, 2 * 9, 3, padding=1)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)  # pyright: ignore[reportArgumentType]
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.norm = group_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(deform_conv(x, self.offsets(x), self.weight)))


class FeatureDecoder(nn.Module):
    """One stack of blocks, shared by P2..P5; results are brought to stride 4 and concatenated.

    out_channels: 4 times the last block's width.
    """

    def __init__(self, *, in_channels: int, channels: Sequence[int], checkpointing: bool) -> None:
        """checkpointing: recompute each level's activations in the backward pass; losses and gradients stay the same."""
        super().__init__()
        self.checkpointing = checkpointing
        widths = [in_channels, *channels]
        self.blocks = nn.Sequential(*(DeformBlock(i, o) for i, o in pairwise(widths)))
        self.out_channels = 4 * channels[-1]

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """pyramid: P2..P5, (B, in_channels, h / 2**i, w / 2**i) -> (B, out_channels, h, w)."""
        size = pyramid[0].shape[-2:]
        levels = [self._level(level) for level in pyramid]
        return torch.cat([levels[0], *(F.interpolate(x, size, mode="bilinear", align_corners=False) for x in levels[1:])], 1)

    def _level(self, level: Tensor) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(self.blocks, level, use_reentrant=False)
        return self.blocks(level)


class SemanticHead(nn.Module):
    """Feature decoder and a 1x1 classifier: (B, C, h, w) logits."""

    def __init__(self, *, in_channels: int, channels: Sequence[int], num_classes: int, checkpointing: bool) -> None:
        super().__init__()
        self.decoder = FeatureDecoder(in_channels=in_channels, channels=channels, checkpointing=checkpointing)
        self.classifier = nn.Conv2d(self.decoder.out_channels, num_classes, 1)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        return self.classifier(self.decoder(pyramid))


class AffinityHead(nn.Module):
    """A second decoder with its own weights and a 1x1 projection: affinity features Q, (B, D, h, w)."""

    def __init__(self, *, in_channels: int, channels: Sequence[int], affinity_dim: int, checkpointing: bool) -> None:
        super().__init__()
        self.decoder = FeatureDecoder(in_channels=in_channels, channels=channels, checkpointing=checkpointing)
        self.projection = nn.Conv2d(self.decoder.out_channels, affinity_dim, 1)
        # Small, so that the potential leads at first: random affinities of full size would drown it and the gradients with it.
        nn.init.normal_(self.projection.weight, std=0.01)
        nn.init.zeros_(self.projection.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        return self.projection(self.decoder(pyramid))
