"""How answers get from cells to pixels: bilinearly, as published, or by shares that are learnt.

B images, h x w cells.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unipan.models.feature_decoder import group_norm
from unipan.ops.precision import full_precision
from unipan.ops.upsample import STRIDE

HIDDEN = 64
START = 0.01
"""Added to the bilinear shares before their logarithm, which is where the learnt ones start: none is 0, so each can be learnt."""


class Upsampling(Protocol):
    """Says how each image's logits are brought to pixels."""

    def __call__(self, images: Tensor, finest: Tensor) -> Sequence[Tensor | None]:
        """Each image's weights of `convex_upsample`, (9, STRIDE**2, h, w), or None for bilinear.

        images: (B, 3, STRIDE * h, STRIDE * w), normalised; finest: their P2, (B, channels, h, w).
        """
        ...


class BilinearUpsampling(nn.Module):
    """No parameters, and nothing to compute."""

    def forward(self, images: Tensor, finest: Tensor) -> list[None]:
        return [None] * len(images)


class ConvexUpsampling(nn.Module):
    """Each pixel's shares in the 3 x 3 cells around its own, from P2 and from the image itself ([ours], after RAFT).

    A cell is as wide as many a thing's outline is uncertain. Bilinear logits draw all outlines alike; where they run within a
    cell the image's own pixels show, which enter as channels of their cell.
    """

    def __init__(self, *, channels: int) -> None:
        """channels: of P2."""
        super().__init__()
        self.lateral = nn.Conv2d(channels, HIDDEN, 1)
        self.mix = nn.Conv2d(HIDDEN + 3 * STRIDE**2, HIDDEN, 3, padding=1)
        self.norm = group_norm(HIDDEN)
        self.shares = nn.Conv2d(HIDDEN, 9 * STRIDE**2, 1)
        nn.init.zeros_(self.shares.weight)
        with torch.no_grad():
            self.shares.bias.copy_((bilinear_shares() + START).log().flatten())  # pyright: ignore[reportOptionalMemberAccess]

    def forward(self, images: Tensor, finest: Tensor) -> Sequence[Tensor]:
        mixed = self.mix(torch.cat([F.pixel_unshuffle(images, STRIDE), self.lateral(finest)], 1))
        shares = full_precision(self.shares(F.relu(self.norm(mixed))))
        return list(shares.unflatten(1, (9, STRIDE**2)).softmax(1))


def bilinear_shares() -> Tensor:
    """(9, STRIDE**2): the weights of `convex_upsample` with which it is bilinear, the same for every cell."""
    cells = torch.eye(3)[:, None]  # one of three cells in a row is 1
    along = F.interpolate(cells, scale_factor=STRIDE, mode="linear")[:, 0, STRIDE : 2 * STRIDE]  # (3, STRIDE)
    return (along[:, None, :, None] * along[:, None]).reshape(9, STRIDE**2)
