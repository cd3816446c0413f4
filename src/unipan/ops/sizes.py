"""To which size an image is resized; without the libraries that resize it, which take seconds to import."""

from unipan.types import Size


def resized_size(size: Size, *, short_side: int, long_side: int) -> Size:
    """The size with the same proportions whose shorter side is `short_side`, unless the longer would pass `long_side`.

    0 keeps the size, or sets no limit. No side falls below one pixel.
    """
    scale = short_side / min(size) if short_side else 1.0
    if long_side:
        scale = min(scale, long_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
