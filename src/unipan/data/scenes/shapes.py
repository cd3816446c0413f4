"""Shapes of the things in procedural scenes: each is the union of discs along a skeleton.

Lengths are in pixels of the default scene until `Skeleton.placed` scales them. n points of a skeleton.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unipan.data.scenes.materials import LOG, SNAKE, TOOL
from unipan.types import Size

Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]
"""(x1, y1, x2, y2) in pixels, x2 and y2 one past the last pixel."""

SPACING = 2.0
"""Between neighbouring points of a skeleton: well below every radius, so that the union of discs looks smooth."""
THINNEST = 2.7
"""Smallest radius: a stroke must stay visible in features at stride 4."""


@dataclass(frozen=True)
class Skeleton:
    """Discs whose union is a thing."""

    points: Floats
    """(n, 2) x, y."""
    radii: Floats
    """(n,)"""
    along: Floats
    """(n,) the way along the stroke to each point, from its start."""

    def placed(self, center_xy: tuple[float, float], scale: float) -> "Skeleton":
        """The same shape, `scale` times as large, with the middle of its box at `center_xy`."""
        middle = (self.points.min(0) + self.points.max(0)) / 2
        points = (self.points - middle) * np.float32(scale) + np.asarray(center_xy, np.float32)
        return Skeleton(points, self.radii * np.float32(scale), self.along * np.float32(scale))

    def box(self, size: Size, margin: float = 0.0) -> Box:
        """The box around all discs, each `margin` pixels larger, within an image of `size`."""
        reach = (self.radii + margin)[:, None]
        x1, y1 = np.floor((self.points - reach).min(0)).astype(int).tolist()
        x2, y2 = np.ceil((self.points + reach).max(0)).astype(int).tolist()
        height, width = size
        return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)


def nearest(skeleton: Skeleton, box: Box) -> tuple[Floats, NDArray[np.intp]]:
    """For each pixel of the box its distance to the nearest disc's centre, in radii of that disc, and which disc it is.

    Both are (y2 - y1, x2 - x1); at a distance of 1 or less a pixel belongs to the thing.
    """
    x1, y1, x2, y2 = box
    columns = np.arange(x1, x2, dtype=np.float32)[:, None] + np.float32(0.5)
    rows = np.arange(y1, y2, dtype=np.float32)[:, None] + np.float32(0.5)
    across = ((columns - skeleton.points[:, 0]) / skeleton.radii) ** 2  # (w, n)
    down = ((rows - skeleton.points[:, 1]) / skeleton.radii) ** 2  # (h, n)
    squared = down[:, None] + across[None]
    which = squared.argmin(-1)
    return np.sqrt(np.take_along_axis(squared, which[..., None], -1)[..., 0]), which


def gap(one: Skeleton, other: Skeleton) -> float:
    """Pixels between two things, negative where they overlap."""
    apart = np.linalg.norm(one.points[:, None] - other.points, axis=-1)
    return float((apart - one.radii[:, None] - other.radii).min())


def draw_shape(rng: Generator, class_index: int) -> Skeleton:
    """A random thing of a class, in a random direction, around the origin."""
    return _turned(rng, *{SNAKE: _snake, TOOL: _tool, LOG: _log}[class_index](rng))


def draw_stump(rng: Generator) -> Skeleton:
    """A log that is hardly longer than it is thick, in a random direction, around the origin."""
    points = _line((0, 0), (rng.uniform(1, 9), 0))
    return _turned(rng, points, np.full(len(points), rng.uniform(4.2, 7.5)))


def _turned(rng: Generator, points: NDArray, radii: NDArray) -> Skeleton:
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    steps = np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=1)
    return Skeleton((points @ turn).astype(np.float32), radii.astype(np.float32), steps.cumsum().astype(np.float32))


def _snake(rng: Generator) -> tuple[NDArray, NDArray]:
    """A winding tube: thin, and concave at every bend."""
    count = rng.integers(24, 42)
    way = np.arange(count) * SPACING
    winding = rng.uniform(0.7, 1.25) * np.sin(2 * np.pi * (way / rng.uniform(30, 44) + rng.random()))
    heading = winding + rng.uniform(-0.02, 0.02) * way
    points = np.stack([np.cos(heading), np.sin(heading)], 1).cumsum(0) * SPACING
    taper = np.interp(way / way[-1], [0, 0.08, 0.2, 0.7, 1], [1.15, 1.3, 1, 1, 0.7])
    return points, np.maximum(rng.uniform(3.0, 3.9) * taper, THINNEST)


def _tool(rng: Generator) -> tuple[NDArray, NDArray]:
    """Ironwork: ring, horseshoe, fork or ladder; its box is mostly not itself."""
    match rng.choice(["ring", "horseshoe", "fork", "ladder"]):
        case "ring":
            points = _arc(rng.uniform(10, 17), 0, 2 * np.pi)
        case "horseshoe":
            radius, leg = rng.uniform(9, 13), rng.uniform(4, 16)
            points = np.concatenate(
                [_line((-radius, leg), (-radius, 0)), _arc(radius, np.pi, 2 * np.pi), _line((radius, 0), (radius, leg))]
            )
        case "fork":
            points = _fork(half_width=rng.uniform(10, 12.5), tine=rng.uniform(13, 20), handle=rng.uniform(18, 28))
        case _:
            points = _ladder(half_width=rng.uniform(7.5, 9.5), rungs=int(rng.integers(2, 4)), step=rng.uniform(12, 15))
    return points, np.full(len(points), rng.uniform(THINNEST, 3.4))


def _fork(*, half_width: float, tine: float, handle: float) -> NDArray:
    bar = _line((-half_width, 0), (half_width, 0))
    tines = [_line((x, 0), (x, -tine)) for x in (-half_width, 0, half_width)]
    return np.concatenate([_line((0, handle), (0, 0)), bar, *tines])


def _ladder(*, half_width: float, rungs: int, step: float) -> NDArray:
    end = step * (rungs + 1) / 2
    rails = [_line((x, -end), (x, end)) for x in (-half_width, half_width)]
    heights = [step * (rung - (rungs - 1) / 2) for rung in range(rungs)]
    return np.concatenate([*rails, *(_line((-half_width, y), (half_width, y)) for y in heights)])


def _log(rng: Generator) -> tuple[NDArray, NDArray]:
    """A straight bar or, short and thick, a stump: compact, but easily split by what lies across it."""
    radius = rng.uniform(4.2, 8)
    length = rng.uniform(2 if radius > 6 else 16, 46)
    points = _line((-length / 2, 0), (length / 2, 0))
    return points, np.full(len(points), radius)


def _line(start: tuple[float, float], end: tuple[float, float]) -> NDArray:
    """Evenly spaced points from start to end, both included."""
    count = 2 + int(np.hypot(end[0] - start[0], end[1] - start[1]) / SPACING)
    return np.linspace(start, end, count)


def _arc(radius: float, start: float, end: float) -> NDArray:
    """Evenly spaced points on a circle around the origin, between two angles in radians."""
    angles = np.linspace(start, end, 2 + int(radius * (end - start) / SPACING))
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)
