"""Augmentation of one image and its id map together; no global random state. H x W pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from unipan.ops.sizes import resized_size
from unipan.ops.unit_floats import unit_floats
from unipan.types import Size


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training images are changed."""

    short_side: int
    """Shorter side in pixels after resizing; 0 keeps the size."""
    long_side: int
    """Largest longer side in pixels; 0 sets no limit."""
    scale_range: tuple[float, float]
    """... and then resized by a factor drawn uniformly from this range."""
    crop: Size
    """Height and width of a random part of the resized image; a side that is shorter is taken whole; (0, 0) takes all of it."""
    flip: bool
    """Mirror half of the images."""
    jitter: float
    """Largest relative change of brightness, contrast and saturation, in [0, 1); a quarter of it shifts the hue."""


class View(NamedTuple):
    """A rectangle of an image, and the size to which it is resized. All in whole pixels."""

    top: int
    left: int
    height: int
    width: int
    size: Size


def draw_view(size: Size, settings: Augmentation, random: np.random.Generator) -> View:
    """What a training view shows of an image of `size`. Draws nothing where nothing is left to chance.

    The rectangle is chosen in the image's own pixels, so that only what is needed is resized; each of its sides is rounded
    to whole pixels, and so its proportions change by at most half a pixel's share.
    """
    low, high = settings.scale_range
    factor = low if low == high else random.uniform(low, high)
    height, width = resized_size(size, short_side=settings.short_side, long_side=settings.long_side)
    whole = (max(1, round(height * factor)), max(1, round(width * factor)))
    rows = _span(size[0], whole[0], settings.crop[0], random)
    columns = _span(size[1], whole[1], settings.crop[1], random)
    return View(rows.start, columns.start, rows.length, columns.length, (rows.resized, columns.resized))


class _Span(NamedTuple):
    start: int
    length: int
    resized: int


def _span(length: int, resized: int, wanted: int, random: np.random.Generator) -> _Span:
    """A random part of a side of `length` pixels: what becomes `wanted` pixels where the whole side would become `resized`."""
    if not wanted or resized <= wanted:
        return _Span(0, length, resized)
    part = max(1, round(wanted * length / resized))
    return _Span(int(random.integers(0, length - part + 1)), part, wanted)


def take_view(image: Tensor, ids: Tensor, view: View) -> tuple[Tensor, Tensor]:
    """Cut the view's rectangle out of an image (3, H, W) and its ids (H, W); it is not resized yet."""
    rows, columns = slice(view.top, view.top + view.height), slice(view.left, view.left + view.width)
    return image[:, rows, columns], ids[rows, columns]


def resize_both(image: Tensor, ids: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Resize an image (3, H, W) bilinearly with antialiasing, and its ids (H, W) by the nearest pixel."""
    if ids.shape == size:
        return image, ids
    return resized(image, size), F.resize(ids[None], list(size), interpolation=InterpolationMode.NEAREST_EXACT)[0]


def resized(image: Tensor, size: Size) -> Tensor:
    """An image (3, H, W) uint8 of another size, bilinearly with antialiasing."""
    if size == (1, 1):  # PyTorch's form for bytes fails there: an image that is a single pixel
        return F.resize(image.float(), [1, 1], antialias=True).round().to(image.dtype)
    return F.resize(image, list(size), antialias=True)


def hflip(image: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Swap left and right of an image (3, H, W) and its ids (H, W)."""
    return image.flip(-1), ids.flip(-1)


def color_jitter(image: Tensor, *, jitter: float, random: np.random.Generator) -> Tensor:
    """Change brightness, contrast and saturation of (3, H, W) uint8 by factors of 1 - jitter .. 1 + jitter, and the hue.

    The hue turns by at most jitter / 4 of the circle: less than the half turn that torchvision allows.
    """
    brightness, contrast, saturation = random.uniform(1 - jitter, 1 + jitter, 3)
    hue = random.uniform(-jitter / 4, jitter / 4)
    jittered = F.adjust_contrast(F.adjust_brightness(image, float(brightness)), float(contrast))
    return F.adjust_hue(F.adjust_saturation(jittered, float(saturation)), float(hue))


def augment(image: Tensor, ids: Tensor, settings: Augmentation, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """One training view of an image (3, H, W) uint8 and its ids (H, W), fixed by the state of `random`."""
    view = draw_view((ids.shape[0], ids.shape[1]), settings, random)
    image, ids = take_view(image, ids, view)
    shrinks = prod(view.size) < view.height * view.width  # the jitter costs by the pixel: it works on the smaller size
    if settings.jitter and not shrinks:
        image = color_jitter(image, jitter=settings.jitter, random=random)
    image, ids = resize_both(image, ids, view.size)
    if settings.jitter and shrinks:
        image = color_jitter(image, jitter=settings.jitter, random=random)
    if settings.flip and random.random() < 0.5:
        image, ids = hflip(image, ids)
    return image, ids


def network_batch(images: Sequence[Tensor], sizes: Sequence[Size], device: torch.device) -> Tensor:
    """Images (3, h, w) uint8, each resized to its size as training's are, as (B, 3, H, W) floats 0..1 with zeros around them."""
    height, width = max(h for h, _ in sizes), max(w for _, w in sizes)
    batch = torch.zeros(len(images), 3, height, width, device=device)
    for padded, image, (h, w) in zip(batch, images, sizes, strict=True):
        padded[:, :h, :w] = unit_floats(resized(image, (h, w)).to(device))  # sent as bytes, a quarter of the floats'
    return batch
