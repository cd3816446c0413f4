"""Boxes and masks brought to pixels one pixel at a time, as the decoders' rules are told: independent of `unipan.ops.boxes`."""

from collections.abc import Sequence

from unipan.types import Detections

Box = Sequence[float]


def span(low: float, high: float, pixel: int) -> tuple[float, float]:
    """Where the box's part of the pixel begins and ends along one axis."""
    return max(low, pixel), min(high, pixel + 1)


def share_in_box(box: Box, y: int, x: int) -> float:
    """How much of the pixel the box covers, 0..1."""
    left, right = span(box[0], box[2], x)
    top, bottom = span(box[1], box[3], y)
    return max(0.0, right - left) * max(0.0, bottom - top)


def value_at(mask: Sequence[Sequence[float]], box: Box, y: int, x: int) -> float:
    """Bilinear value of a mask over a box in the middle of what the box covers of a pixel; 0 where it covers nothing."""
    if share_in_box(box, y, x) == 0:
        return 0.0
    points = len(mask)
    across = (sum(span(box[0], box[2], x)) / 2 - box[0]) / (box[2] - box[0]) * points - 0.5
    down = (sum(span(box[1], box[3], y)) / 2 - box[1]) / (box[3] - box[1]) * points - 0.5
    total = 0.0
    for row in range(points):
        for column in range(points):
            total += max(0.0, 1 - abs(down - row)) * max(0.0, 1 - abs(across - column)) * mask[row][column]
    return total


def best_first(detections: Detections, score_threshold: float) -> list[int]:
    """Indices of those that are sure enough; of equal scores the earlier first."""
    scores = detections.scores.tolist()
    return sorted((n for n in range(len(scores)) if scores[n] >= score_threshold), key=lambda n: -scores[n])


def best_of(values: Sequence[float]) -> int:
    """The first of the largest."""
    return max(range(len(values)), key=lambda k: (values[k], -k))
