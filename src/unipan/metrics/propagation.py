"""What propagation does to the answer, pixel by pixel: a residual can hide an affinity that has learnt nothing. H x W pixels."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class PropagationEffect:
    """Pixels whose true channel is known, and what became of them; adds up over images."""

    pixels: int = 0
    """All of them."""
    changed: int = 0
    """Their channel is another with propagation than without."""
    corrected: int = 0
    """Wrong without, right with."""
    spoiled: int = 0
    """Right without, wrong with."""

    def __add__(self, other: "PropagationEffect") -> "PropagationEffect":
        return PropagationEffect(
            self.pixels + other.pixels,
            self.changed + other.changed,
            self.corrected + other.corrected,
            self.spoiled + other.spoiled,
        )

    def shares(self) -> dict[str, Any]:
        """Fractions of the pixels; 0 where there are none."""
        total = max(self.pixels, 1)
        names = ("changed", "corrected", "spoiled")
        return {"pixels": self.pixels, **{name: getattr(self, name) / total for name in names}}


def propagation_effect(with_it: Tensor, without: Tensor, true: Tensor, *, ignore: int) -> PropagationEffect:
    """Compare the chosen channels, all (H, W) integers, where `true` is not `ignore`."""
    known = true != ignore
    right, was_right = with_it == true, without == true
    counts = torch.stack([known, with_it != without, right & ~was_right, was_right & ~right]) & known
    return PropagationEffect(*counts.flatten(1).sum(1).tolist())
