"""What everything here is drawn on: an image as PIL, at a readable size, with text on plates that never overlap."""

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from unipan.class_colors import RGB
from unipan.errors import InputError
from unipan.files import check_here, make_folder, replace_atomically
from unipan.ops.images import ImageSource, read_image
from unipan.viz.fonts import font_of, shortened

Rectangle = tuple[float, float, float, float]
"""x1 y1 x2 y2, pixels of the canvas."""

READABLE_SIDE_PX = 480
"""Smaller images are enlarged by a whole number until the longer side comes near this."""
TEXT_SHARE = 0.027
TEXT_RANGE_PX = (10, 40)
"""Text height as a share of the image's mean side, and its limits."""
SMALLEST_TEXT_PX = 8
"""Where there is much to write."""
QUALITY = 92
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    **{form: {"quality": QUALITY, "subsampling": 0} for form in ("JPEG", "MPO", "PDF")},
    **{form: {"quality": QUALITY} for form in ("WEBP", "AVIF")},
}
"""Of the formats that are not exact: such as hide it."""
UNWRITABLE = (OSError, ValueError, OverflowError, struct.error, RuntimeError)
"""What Pillow raises, depending on the format, for an image that is too large or of a mode that it has not."""
INK: RGB = (16, 19, 26)
PAPER: RGB = (255, 255, 255)


def as_pil(image: ImageSource) -> Image.Image:
    """The image as PIL RGB, upright and in 8 bits, as `read_image` reads it."""
    return Image.fromarray(read_image(image).permute(1, 2, 0).contiguous().numpy())


def save_image(image: Image.Image, path: Path) -> None:
    """Write an image file of the kind that the name's suffix says, and the folder that it goes to.

    Raises: InputError where that fails; a file that stood there before is then untouched.
    """
    check_image_name(path)
    form, content = Image.registered_extensions()[path.suffix.lower()], BytesIO()
    try:
        image.save(content, form, **SAVE_OPTIONS.get(form, {}))
    except UNWRITABLE as error:
        others = ".png" if form == "JPEG" else ".png or .jpg"
        raise InputError(f"cannot write {path}: {error}; name it {others}.") from error
    make_folder(path.parent)
    # Not flushed: a drawing can be made again, and thousands of overlays would wait for a busy disk.
    replace_atomically(path, lambda temporary: temporary.write_bytes(content.getbuffer()), durable=False)


def check_image_name(path: Path) -> None:
    """Raises: InputError unless the name is a path's, and its suffix of a kind of image that can be written."""
    check_here(path)
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise InputError(f"cannot write {path}: its suffix names no kind of image; name it .png or .jpg.")


def readable_scale(width: int, height: int) -> int:
    """By what whole number an image of that size is enlarged: 1 where a side is over 320 pixels, more for thumbnails."""
    return max(1, round(READABLE_SIDE_PX / max(width, height)))


def enlarge(image: Image.Image, scale: int) -> Image.Image:
    """The image, `scale` times as large."""
    if scale == 1:
        return image.copy()
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)


def line_width(image: Image.Image) -> int:
    """Pixels of a line that reads as a line at the image's size."""
    return max(1, round((image.width + image.height) / 2 / 400))


def text_size(image: Image.Image, scale: float) -> int:
    """Pixels of text that suits the image, times `scale` as far as it can still be read."""
    lowest, highest = TEXT_RANGE_PX
    usual = min(max(TEXT_SHARE * (image.width + image.height) / 2, lowest), highest)
    return round(max(scale * usual, SMALLEST_TEXT_PX))


def contrasting(color: RGB) -> RGB:
    """Black or white, whichever is read better on the color."""
    red, green, blue = color
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else PAPER


class Plates:
    """Text plates on one image: remembers where they lie, so that none covers another.

    They are looked up in a grid, whose squares hold few of them each: a further plate costs the same however many there are.
    """

    def __init__(self, canvas: Image.Image, *, scale: float = 1.0) -> None:
        """scale: of the text, against what suits the image."""
        self.canvas = canvas
        self._size_px = text_size(canvas, scale)
        self._sizes: dict[str, tuple[float, float]] = {}
        _, top, _, bottom = font_of("Hg", self._size_px).getbbox("Hg")
        self._text_height = bottom - top
        self._side = 6 * self._text_height
        self._taken: dict[tuple[int, int], list[Rectangle]] = {}

    def size(self, text: str) -> tuple[float, float]:
        """Width and height of the text's plate in pixels."""
        if text not in self._sizes:
            left, _, right, _ = font_of(text, self._size_px).getbbox(text)
            self._sizes[text] = right - left + 0.8 * self._text_height, 1.5 * self._text_height
        return self._sizes[text]

    def shortened(self, text: str) -> str:
        """The text as one line that is no wider than the image."""
        return shortened(text, self.canvas.width, lambda shown: self.size(shown)[0])

    def within(self, frame: Rectangle) -> list[Rectangle]:
        """The plates that lie in a rectangle, wholly or in part."""
        near = (plate for square in self._squares(frame) for plate in self._taken.get(square, ()))
        return list(dict.fromkeys(plate for plate in near if _overlap(frame, plate)))

    def fitted(self, text: str, x: float, y: float) -> Rectangle:
        """The text's plate with its top left corner at (x, y), moved into the image."""
        width, height = self.size(text)
        x1 = max(0.0, min(x, self.canvas.width - width))
        y1 = max(0.0, min(y, self.canvas.height - height))
        return x1, y1, x1 + width, y1 + height

    def take(self, plate: Rectangle) -> None:
        """Keep others away from a plate."""
        for square in self._squares(plate):
            self._taken.setdefault(square, []).append(plate)

    def put(self, text: str, x: float, y: float, *, color: RGB = INK, opacity: float = 0.78) -> bool:
        """Take the plate of `fitted` and write the text on it; False if another lies there."""
        plate = self.fitted(text, x, y)
        if self.within(plate):
            return False
        self.take(plate)
        self.write(text, plate, color=color, opacity=opacity)
        return True

    def write(self, text: str, plate: Rectangle, *, color: RGB, opacity: float) -> None:
        """Draw a plate with its text."""
        x1, y1, x2, y2 = plate
        draw = ImageDraw.Draw(self.canvas, "RGBA")
        draw.rounded_rectangle(plate, radius=(y2 - y1) / 4, fill=(*color, round(255 * opacity)))
        font = font_of(text, self._size_px)
        draw.text(((x1 + x2) / 2, (y1 + y2) / 2), text, fill=contrasting(color), font=font, anchor="mm")

    def _squares(self, frame: Rectangle) -> Iterator[tuple[int, int]]:
        x1, y1, x2, y2 = (int(side // self._side) for side in frame)
        return ((x, y) for y in range(y1, y2 + 1) for x in range(x1, x2 + 1))


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
