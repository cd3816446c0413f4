"""Colors for classes that have none of their own: each as far from all before it as can be, as the eye measures distances."""

from colorsys import hsv_to_rgb
from functools import cache
from itertools import product
from math import dist, inf

RGB = tuple[int, int, int]
"""Red, green, blue, 0..255."""

HUES = tuple(step / 36 for step in range(36))
SATURATIONS, VALUES = (0.4, 0.55, 0.7, 0.85), (0.45, 0.6, 0.75, 0.95)
"""What there is to choose from, in HSV; nothing near grey, which void is."""
DARKEST, BRIGHTEST = 22, 95
"""Limits of L*: nothing near black or white, which labels are."""
NUM_APART = 256
"""So many are chosen; a larger table has each of them several times."""


def default_color(index: int) -> RGB:
    """A color for the class at `index` that depends on nothing else: any first so many classes are far apart."""
    return _apart()[index % NUM_APART]


@cache
def _apart() -> tuple[RGB, ...]:
    """From a red on, always the candidate whose nearest color among those before it is farthest."""
    lab = {color: _lab(color) for color in (_rgb(*hsv) for hsv in product(HUES, SATURATIONS, VALUES))}
    left = {color: inf for color, (lightness, _, _) in lab.items() if DARKEST < lightness < BRIGHTEST}
    chosen = [_rgb(HUES[0], SATURATIONS[2], VALUES[3])]
    while len(chosen) < NUM_APART:
        newest = lab[chosen[-1]]
        left = {color: min(nearest, dist(lab[color], newest)) for color, nearest in left.items()}
        chosen.append(max(left, key=left.__getitem__))
    return tuple(chosen)


def _rgb(hue: float, saturation: float, value: float) -> RGB:
    red, green, blue = (round(255 * part) for part in hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def _lab(color: RGB) -> tuple[float, float, float]:
    """CIE L*a*b* of an sRGB color under D65, in which equal distances look about equal."""
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (part / 255 for part in color))
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.0890
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)
