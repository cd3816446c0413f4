"""What everything here is drawn on: an image as PIL, at a readable size, with text on plates that never overlap."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from unipan.errors import InputError
from unipan.ops.images import ImageSource, read_image
from unipan.viz.colors import RGB

Rectangle = tuple[float, float, float, float]
"""x1 y1 x2 y2, pixels of the canvas."""

READABLE_SIDE_PX = 480
"""Smaller images are enlarged by a whole number until the longer side comes near this."""
TEXT_SHARE = 0.023
TEXT_RANGE_PX = (12, 40)
"""Text height as a share of the image's mean side, and its limits."""
INK: RGB = (16, 19, 26)
PAPER: RGB = (255, 255, 255)


def as_pil(image: ImageSource) -> Image.Image:
    """The image as PIL RGB, upright and in 8 bits, as `read_image` reads it."""
    return Image.fromarray(read_image(image).permute(1, 2, 0).contiguous().numpy())


def save_image(image: Image.Image, path: Path) -> None:
    """Write a PNG, and the folder that it goes to.

    Raises: InputError where that fails.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, format="PNG")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}. See that the disk has room.") from error


def readable_scale(width: int, height: int) -> int:
    """By what whole number an image of that size is enlarged: 1 for large ones, more for thumbnails."""
    return max(1, round(READABLE_SIDE_PX / max(width, height)))


def enlarge(image: Image.Image, scale: int) -> Image.Image:
    """The image, `scale` times as large."""
    if scale == 1:
        return image.copy()
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)


def line_width(image: Image.Image) -> int:
    """Pixels of a line that reads as a line at the image's size."""
    return max(1, round((image.width + image.height) / 2 / 400))


def font_for(image: Image.Image) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The built-in font, at a size that suits the image."""
    lowest, highest = TEXT_RANGE_PX
    return ImageFont.load_default(round(min(max(TEXT_SHARE * (image.width + image.height) / 2, lowest), highest)))


def contrasting(color: RGB) -> RGB:
    """Black or white, whichever is read better on the color."""
    red, green, blue = color
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else PAPER


class Plates:
    """Text plates on one image: remembers where they lie, so that none covers another."""

    def __init__(self, canvas: Image.Image) -> None:
        self._canvas = canvas
        self._font = font_for(canvas)
        self._taken: list[Rectangle] = []
        _, top, _, bottom = self._font.getbbox("Hg")
        self._text_height = bottom - top

    @property
    def taken(self) -> tuple[Rectangle, ...]:
        """Where plates lie."""
        return tuple(self._taken)

    def size(self, text: str) -> tuple[float, float]:
        """Width and height of the text's plate in pixels."""
        left, _, right, _ = self._font.getbbox(text)
        return right - left + 0.8 * self._text_height, 1.5 * self._text_height

    def put(self, text: str, x: float, y: float, *, color: RGB = INK, opacity: float = 0.78) -> bool:
        """Write the text on a plate whose top left corner is at (x, y), moved into the image; False if the place is taken."""
        width, height = self.size(text)
        x1 = max(0.0, min(x, self._canvas.width - width))
        y1 = max(0.0, min(y, self._canvas.height - height))
        plate = (x1, y1, x1 + width, y1 + height)
        if any(_overlap(plate, other) for other in self._taken):
            return False
        self._taken.append(plate)
        draw = ImageDraw.Draw(self._canvas, "RGBA")
        draw.rounded_rectangle(plate, radius=height / 4, fill=(*color, round(255 * opacity)))
        draw.text((x1 + width / 2, y1 + height / 2), text, fill=contrasting(color), font=self._font, anchor="mm")
        return True


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
