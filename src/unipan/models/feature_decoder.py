"""The feature decoder of the semantic head and of the affinity head (paper, Fig. A)."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from math import gcd, pi

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unipan.ops.deform import deform_conv


class AnyGroupNorm(nn.GroupNorm):
    """GroupNorm that also takes groups of a single value (a narrow network on a map of one cell), which it turns into 0.

    torch.nn.GroupNorm refuses them, as batch norm must; here no statistics are kept that they could spoil. A graph takes no maps
    at all too, as of a mask head for no detections, which the exporter's own form of the norm can't reshape.
    """

    def forward(self, input: Tensor) -> Tensor:
        if torch.compiler.is_exporting() and not isinstance(input.shape[0], int):
            return _group_norm(input, self)
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


def _group_norm(maps: Tensor, norm: nn.GroupNorm) -> Tensor:
    """The definition. maps: (n, C, h, w)."""
    count, channels, height, width = maps.shape
    groups = maps.reshape(count, norm.num_groups, channels // norm.num_groups * height * width)
    variance, mean = torch.var_mean(groups, dim=2, correction=0, keepdim=True)
    normed = ((groups - mean) * torch.rsqrt(variance + norm.eps)).reshape(maps.shape)
    return normed * norm.weight[:, None, None] + norm.bias[:, None, None]


def group_norm(channels: int) -> nn.GroupNorm:
    """In 32 groups, or as many as divide the channels (Wu and He, ECCV 2018; the paper uses it wherever it normalises)."""
    return AnyGroupNorm(gcd(32, channels), channels)


WAVELENGTHS = (16, 32, 64, 128, 256)
"""In cells, of the waves that say where a cell lies: the shortest tells neighbours apart, the longest spans 1024 pixels."""


def position_waves(height: int, width: int, like: Tensor) -> Tensor:
    """(20, height, width): sine and cosine of each cell's row and column, for each of WAVELENGTHS; of `like`'s type and device.

    They follow from the cell alone, so a map of any size and its padding agree where they overlap.
    """
    rows = torch.arange(height, device=like.device, dtype=torch.float32)[:, None].expand(height, width)
    columns = torch.arange(width, device=like.device, dtype=torch.float32).expand(height, width)
    angles = [2 * pi * position / length for position in (rows, columns) for length in WAVELENGTHS]
    return torch.stack([wave for angle in angles for wave in (angle.sin(), angle.cos())]).to(like.dtype)


class DeformBlock(nn.Module):
    """3x3 deformable convolution, GroupNorm, ReLU. Offsets start at zero, so it starts as a plain convolution.

    ReLU may take its input's place, as in `PointwiseBlock`: GroupNorm keeps what it read for the backward pass, not what it gave.
    """

    def __init__(self, in_channels: int, out_channels: int, *, checkpointed: bool = False) -> None:
        """checkpointed: it is called within `torch.utils.checkpoint`."""
        super().__init__()
        self.checkpointed = checkpointed
        self.offsets = nn.Conv2d(in_channels, 2 * 9, 3, padding=1)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)  # pyright: ignore[reportArgumentType]
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.norm = group_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(deform_conv(x, self.offsets(x), self.weight, checkpointed=self.checkpointed)), inplace=True)


class PointwiseBlock(nn.Module):
    """1x1 convolution, GroupNorm, ReLU: a fifteenth of a deformable decoder's work on a level (256 to 128 channels)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out", nonlinearity="relu")
        self.norm = group_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.convolution(x)), inplace=True)


class FeatureDecoder(nn.Module):
    """One stack of blocks, shared by P2..P5.

    The paper brings the levels to stride 4, concatenates them and applies a 1x1 convolution. All of it is linear, so `project`
    convolves each level first, where there are fewer cells. out_channels is the concatenation's width.
    """

    def __init__(
        self, *, in_channels: int, channels: Sequence[int], checkpointing: bool, first: int = 0, pointwise_levels: int = 0
    ) -> None:
        """checkpointing: recompute each level's activations in the backward pass; losses and gradients stay the same.

        first: the first block's number. Behind shared blocks it is how many those are, so that a block's weights have one name.
        pointwise_levels: so many of the finest levels, which have most of the cells, go through one 1x1 convolution instead of
        the blocks. A decoder without blocks leaves every level as it is.
        """
        super().__init__()
        self.checkpointing = checkpointing
        widths = [in_channels, *channels]
        blocks = [DeformBlock(inputs, outputs, checkpointed=checkpointing) for inputs, outputs in pairwise(widths)]
        self.blocks = nn.Sequential(OrderedDict((str(number), block) for number, block in enumerate(blocks, first)))
        self.pointwise_levels = pointwise_levels if blocks else 0
        self.pointwise = PointwiseBlock(in_channels, widths[-1]) if self.pointwise_levels else None
        self.out_channels = 4 * widths[-1]

    def forward(self, pyramid: Sequence[Tensor]) -> list[Tensor]:
        """pyramid: P2..P5, (B, in_channels, h / 2**i, w / 2**i) -> each (B, out_channels / 4, h / 2**i, w / 2**i)."""
        return [self._level(number, level) for number, level in enumerate(pyramid)]

    def _level(self, number: int, level: Tensor) -> Tensor:
        blocks = self.blocks if self.pointwise is None or number >= self.pointwise_levels else self.pointwise
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(blocks, level, use_reentrant=False)
        return blocks(level)


def project(levels: Sequence[Tensor], projection: nn.Conv2d) -> Tensor:
    """The 1x1 convolution of all levels, brought to the first one's size and concatenated: (B, out_channels, h, w).

    Levels of the first one's size may have a batch of 1.
    """
    size = levels[0].shape[-2:]
    weights = projection.weight.split([level.shape[1] for level in levels], 1)
    total = F.conv2d(levels[0], weights[0], projection.bias)
    for level, weight in zip(levels[1:], weights[1:], strict=True):
        part = F.conv2d(level, weight)
        total += part if part.shape[-2:] == size else F.interpolate(part, size, mode="bilinear", align_corners=False)
    return total


class SemanticHead(nn.Module):
    """A feature decoder and a 1x1 classifier: (B, C, h, w) logits."""

    def __init__(self, *, decoder: FeatureDecoder, num_classes: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.classifier = nn.Conv2d(decoder.out_channels, num_classes, 1)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        return project(self.decoder(pyramid), self.classifier)


class AffinityHead(nn.Module):
    """A second decoder and a 1x1 projection: affinity features Q, (B, D, h, w)."""

    def __init__(self, *, decoder: FeatureDecoder, affinity_dim: int, position: bool) -> None:
        """position: the projection also sees where a cell lies; else two things that look alike have the same features."""
        super().__init__()
        self.position = position
        self.decoder = decoder
        waves = 4 * len(WAVELENGTHS) if position else 0
        self.projection = nn.Conv2d(decoder.out_channels + waves, affinity_dim, 1)
        # Small, so that the potential leads at first: random affinities of full size would drown it and the gradients with it.
        nn.init.normal_(self.projection.weight, std=0.01)
        nn.init.zeros_(self.projection.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        levels = self.decoder(pyramid)
        if self.position:
            levels.append(position_waves(levels[0].shape[-2], levels[0].shape[-1], levels[0])[None])
        return project(levels, self.projection)
