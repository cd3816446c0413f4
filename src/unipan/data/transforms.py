"""Augmentation of one image and its id map together; no global random state. H x W pixels."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from unipan.types import Size


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training images are changed."""

    short_side: int
    """Shorter side in pixels after resizing; 0 keeps the size."""
    long_side: int
    """Largest longer side in pixels; 0 sets no limit."""
    flip: bool
    """Mirror half of the images."""
    jitter: float
    """Largest relative change of brightness, contrast and saturation, in [0, 1); a quarter of it shifts the hue."""


def resized_size(size: Size, *, short_side: int, long_side: int) -> Size:
    """The size with the same proportions whose shorter side is `short_side`, unless the longer would pass `long_side`.

    0 keeps the size, or sets no limit. No side falls below one pixel.
    """
    scale = short_side / min(size) if short_side else 1.0
    if long_side:
        scale = min(scale, long_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resize_sides(image: Tensor, ids: Tensor, *, short_side: int, long_side: int) -> tuple[Tensor, Tensor]:
    """Resize an image (3, H, W) bilinearly with antialiasing, and its ids (H, W) by the nearest pixel."""
    height, width = ids.shape
    size = resized_size((height, width), short_side=short_side, long_side=long_side)
    if size == (height, width):
        return image, ids
    resized = F.resize(image, list(size), antialias=True)
    return resized, F.resize(ids[None], list(size), interpolation=InterpolationMode.NEAREST_EXACT)[0]


def mirror(image: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Swap left and right of an image (3, H, W) and its ids (H, W)."""
    return image.flip(-1), ids.flip(-1)


def relight(image: Tensor, *, jitter: float, random: np.random.Generator) -> Tensor:
    """Change brightness, contrast and saturation of (3, H, W) uint8 by factors of 1 - jitter .. 1 + jitter, and the hue.

    The hue turns by at most jitter / 4 of the circle: less than the half turn that torchvision allows.
    """
    brightness, contrast, saturation = random.uniform(1 - jitter, 1 + jitter, 3)
    hue = random.uniform(-jitter / 4, jitter / 4)
    relit = F.adjust_contrast(F.adjust_brightness(image, float(brightness)), float(contrast))
    return F.adjust_hue(F.adjust_saturation(relit, float(saturation)), float(hue))


def augment(image: Tensor, ids: Tensor, settings: Augmentation, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """One training view of an image (3, H, W) uint8 and its ids (H, W), fixed by the state of `random`."""
    if settings.jitter:  # first, because most images are enlarged afterwards
        image = relight(image, jitter=settings.jitter, random=random)
    image, ids = resize_sides(image, ids, short_side=settings.short_side, long_side=settings.long_side)
    if settings.flip and random.random() < 0.5:
        image, ids = mirror(image, ids)
    return image, ids
