"""What every detector promises: detections always, losses when truth is given, in one pass. And the one for no things."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from unipan.types import Detections, Size, Target, Term


class Detector(Protocol):
    """One interface, because the paper promises that the detector is easy to replace (section A.2)."""

    def __call__(
        self, pyramid: Sequence[Tensor], sizes: Sequence[Size], targets: Sequence[Target] | None
    ) -> tuple[list[Detections], dict[str, Term]]:
        """pyramid: P2..P6, (B, channels, H / stride, W / stride). sizes: B true sizes in pixels.

        Returns B detections, best first, with boxes and scores that carry gradients, the same with and without targets; and
        the loss terms, {} without targets.
        """
        ...

    def describe(
        self, pyramid: Sequence[Tensor], sizes: Sequence[Size], boxes: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> list[Detections]:
        """Boxes from elsewhere as detections, in their order: they stay as they are, the scores are 1, only masks are predicted.

        boxes: B times (N, 4) x1 y1 x2 y2 in pixels. labels: B times (N,) class indices, things only.
        """
        ...


class NoDetector(nn.Module):
    """The detector of a class table without things: it finds nothing."""

    def forward(
        self, pyramid: Sequence[Tensor], sizes: Sequence[Size], targets: Sequence[Target] | None
    ) -> tuple[list[Detections], dict[str, Term]]:
        return self._nothing(pyramid, sizes), {}

    def describe(
        self, pyramid: Sequence[Tensor], sizes: Sequence[Size], boxes: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> list[Detections]:
        assert not any(len(one) for one in boxes), "a class table without things has no boxes"
        return self._nothing(pyramid, sizes)

    def _nothing(self, pyramid: Sequence[Tensor], sizes: Sequence[Size]) -> list[Detections]:
        level = pyramid[0]
        boxes, scores, masks = level.new_zeros(0, 4), level.new_zeros(0), level.new_zeros(0, 1, 1)  # every variant takes them
        return [Detections(boxes, scores, scores.long(), masks) for _ in sizes]
