"""Colors for classes that have none of their own, far apart as the eye measures distances, and shades of a color."""

from colorsys import hls_to_rgb, hsv_to_rgb, rgb_to_hls
from functools import cache
from itertools import product
from math import dist, inf

RGB = tuple[int, int, int]
"""Red, green, blue, 0..255."""
Lab = tuple[float, float, float]
"""CIE L* (0..100), a* and b*, in which equal distances look about equal."""

HUES = tuple(step / 36 for step in range(36))
SATURATIONS, VALUES = (0.4, 0.55, 0.7, 0.85, 1.0), (0.45, 0.6, 0.75, 0.95)
"""What there is to choose from, in HSV; nothing near grey, which void is."""
DARKEST, BRIGHTEST = 22, 95
"""Limits of L*: nothing near black or white, which labels are."""
NUM_APART = 256
"""So many are chosen; a larger table has each of them several times."""
SHADES_CLOSER = 2.0
"""Shades of two classes, which differ in hue and saturation alone, may be so many times closer than the classes' colors."""

LIGHTNESS_CENTRE = (55.0, 60.0)
"""Where the L* of a color may lie that shades are darker and brighter than, so that none is near black or white."""
MIN_SATURATION = 0.5
"""Of shades, in HLS."""


def default_color(index: int) -> RGB:
    """A color for the class at `index` that depends on nothing else: any first so many classes are far apart."""
    index %= NUM_APART
    return _apart(2 ** (index + 1).bit_length())[index]


def shade(color: RGB, hue_step: float, lightness_step: float, saturation_step: float = 0.0) -> RGB:
    """A color of another hue, by so many turns, and another L*, counted from a medium one that suits the color.

    saturation_step: from -1, as little as a shade may have, over the color's own to 1, as much as there is.
    """
    hue, _, saturation = rgb_to_hls(*(value / 255 for value in color))
    saturation = max(saturation, MIN_SATURATION)
    saturation += saturation_step * (saturation - MIN_SATURATION if saturation_step < 0 else 1 - saturation)
    lowest, highest = LIGHTNESS_CENTRE
    centre = min(max(lab_of(color)[0], lowest), highest)
    return _of_lightness((hue + hue_step) % 1.0, saturation, centre + lightness_step)


def lab_of(color: RGB) -> Lab:
    """CIE L*a*b* of an sRGB color under D65."""
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (part / 255 for part in color))
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.0890
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def hue_distance(color: RGB, other: RGB) -> float:
    """How far their hues lie apart on the circle, 0 to 0.5 turns."""
    apart = abs(rgb_to_hls(*(value / 255 for value in color))[0] - rgb_to_hls(*(value / 255 for value in other))[0])
    return min(apart, 1 - apart)


@cache
def _apart(count: int) -> tuple[RGB, ...]:
    """From a red on, always the candidate whose nearest color among those before it is farthest, as stuff and as a thing."""
    candidates = {_rgb(hsv_to_rgb(*hsv)) for hsv in product(HUES, SATURATIONS, VALUES)}
    seen = {color: (lab_of(color), lab_of(shade(color, 0, 0))) for color in sorted(candidates)}
    left = {color: inf for color, (own, _) in seen.items() if DARKEST < own[0] < BRIGHTEST}
    chosen = [_rgb(hsv_to_rgb(HUES[0], SATURATIONS[2], VALUES[3]))]
    while len(chosen) < count:
        own, shaded = seen[chosen[-1]]
        for color, nearest in left.items():
            other, other_shaded = seen[color]
            left[color] = min(nearest, dist(own, other), SHADES_CLOSER * dist(shaded, other_shaded))
        chosen.append(max(left, key=left.__getitem__))
    return tuple(chosen)


def _of_lightness(hue: float, saturation: float, lightness: float) -> RGB:
    """The color of a hue and a saturation (HLS, 0..1) with that L*, found by bisection: L* grows with HLS's lightness."""
    low, high = 0.0, 1.0
    for _ in range(10):  # finer than 8 bits
        middle = (low + high) / 2
        if lab_of(_rgb(hls_to_rgb(hue, middle, saturation)))[0] < lightness:
            low = middle
        else:
            high = middle
    return _rgb(hls_to_rgb(hue, low, saturation))


def _rgb(unit: tuple[float, float, float]) -> RGB:
    red, green, blue = (round(255 * part) for part in unit)
    return red, green, blue
