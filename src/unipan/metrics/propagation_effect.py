"""What propagation does to the answer, pixel by pixel: a residual can hide an affinity that has learnt nothing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unipan.metrics.additive import Additive


@dataclass(frozen=True)
class PropagationEffect(Additive):
    """Pixels whose true channel is known, and what became of them."""

    pixels: int = 0
    """All of them."""
    changed: int = 0
    """Their channel is another with propagation than without."""
    corrected: int = 0
    """Wrong without, right with."""
    spoiled: int = 0
    """Right without, wrong with."""

    @staticmethod
    def of(
        with_it: NDArray[np.integer],
        without: NDArray[np.integer],
        true: NDArray[np.integer],
        lengths: NDArray[np.int64],
        *,
        ignore: int,
    ) -> "PropagationEffect":
        """Compare the chosen channels where the true one is not `ignore`: (r,) of runs of pixels, whose lengths are (r,) too."""
        right, was_right = with_it == true, without == true
        pixels = np.where(true != ignore, lengths, 0)
        counts = (pixels[flags].sum() for flags in (with_it != without, right & ~was_right, was_right & ~right))
        return PropagationEffect(int(pixels.sum()), *(int(number) for number in counts))

    def shares(self) -> dict[str, Any]:
        """Fractions of the pixels; 0 where there are none."""
        total = max(self.pixels, 1)
        names = ("changed", "corrected", "spoiled")
        return {"pixels": self.pixels, **{name: getattr(self, name) / total for name in names}}
