"""The one reader of images: whatever they come as, they are read as a person sees them. H x W pixels."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import BytesIO, TextIOWrapper
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from unipan.errors import InputError
from unipan.ops.image_arrays import TAKEN, image_of_array, numbers_of, on_cpu
from unipan.ops.plain_png import HEADER_BYTES, decode_plain, is_bare, is_plain
from unipan.ops.raw_forms import fit_transparency

if TYPE_CHECKING:
    from torch import Tensor

OneImage: TypeAlias = "bytes | bytearray | memoryview | IO[bytes] | Image.Image | NDArray[Any] | Tensor"
"""What is one image for certain; a path may be a folder's."""
ImageSource: TypeAlias = "str | os.PathLike[str] | OneImage"
"""What `read_image` takes, and so everything that takes an image."""

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    RuntimeError,  # AVIF's decoder
    AttributeError,  # SPIDER's
    Image.DecompressionBombError,
)
"""What Pillow raises, depending on the format, for a file that is damaged, no image, or unreasonably large."""

MAX_PIXELS = 2**30
"""Of an image; a larger one is taken for a file that means to fill the memory. Pillow's own limit is a sixth of it."""
MAX_16_BIT = 2**16 - 1
_OPENING = Lock()


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there. A name that no file can bear, too long or with a NUL, is no error, as it is to Path.is_file."""
    return os.path.isfile(path)  # noqa: PTH113 (see above)


def read_image(source: ImageSource) -> Tensor:
    """Read an image, of a file the first frame, as (3, H, W) uint8 RGB: upright by its EXIF tag, transparency laid over white.

    Gray of 16 bits is scaled from 0..65535 to 0..255; floats, of arrays and tensors only, from 0..1. Always in memory of its own.

    Raises: InputError that names the image.
    """
    import torch

    if isinstance(source, memoryview):
        source = source.tobytes()
    if isinstance(source, torch.Tensor):
        source = on_cpu(source)
        if source.ndim == 3 and source.shape[0] == 3 and source.dtype == torch.uint8 and source.numel():
            return source.clone(memory_format=torch.contiguous_format)  # the caller may fill its own with the next image
        source = numbers_of(source)
    plain = _plain_colors(source)
    if plain is not None:
        return torch.from_numpy(plain).permute(2, 0, 1).contiguous()
    name, opening = opened(source)
    try:
        with opening as image:
            fit_transparency(image)
            _load(image)
            rgb = np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except (*UNREADABLE, TypeError) as error:  # TypeError: a file that gives text
        raise InputError(f"cannot read the image {name}: {error}. Expected a complete image file (JPEG, PNG, ...).") from error
    return torch.from_numpy(rgb).permute(2, 0, 1).contiguous()


def _plain_colors(source: Any) -> NDArray[np.uint8] | None:
    """(H, W, 3) of a file, or of its bytes, that is a PNG of nothing but 8-bit RGB; None for all that Pillow is to read."""
    content = bytes(source) if isinstance(source, (bytes, bytearray)) else b""
    if isinstance(source, (str, os.PathLike)) and is_file(source):
        try:
            with Path(source).open("rb") as file:
                content = file.read(HEADER_BYTES)
                content += file.read() if is_plain(content) else b""
        except OSError:
            return None
    return decode_plain(content) if is_plain(content) and is_bare(content) else None


def opened(source: Any) -> tuple[str, AbstractContextManager[Image.Image]]:
    """The image's name in messages, and the image once the context is entered."""
    if isinstance(source, np.ndarray):
        return "in an array", nullcontext(image_of_array(source))
    if isinstance(source, Image.Image):
        return f"{getattr(source, 'filename', '') or 'given as PIL'} of mode {source.mode}", nullcontext(source)
    if isinstance(source, (bytes, bytearray)):
        return f"of {len(source)} bytes", _opening(BytesIO(source))
    if isinstance(source, TextIOWrapper):
        raise InputError(f'an image came as the file {source.name}, opened for text; open it with "rb".')
    if hasattr(source, "read"):
        return str(getattr(source, "name", "in an open file")), _opening(source)
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"an image came as a {type(source).__name__}; give {TAKEN}.")
    if not is_file(source):
        if "://" in str(source):
            raise InputError(f"an image came as the address {source}, and nothing is fetched; fetch it, and give {TAKEN}.")
        if os.path.isdir(source):  # noqa: PTH112 (no error for a name that no file can bear)
            raise InputError(
                f"an image came as {source}, which is a folder; name a file in it, or a folder alone, not in a list."
            )
        raise no_file(source)
    return str(source), _opening(source)


def no_file(path: str | os.PathLike[str]) -> InputError:
    """What is to be said of a path at which no image file is."""
    if os.path.exists(path):  # noqa: PTH110 (no error for a name that no file can bear, as below)
        return InputError(f"{path} is a pipe or a device, not a file; name an image file.")
    if os.path.islink(path):  # noqa: PTH114
        return InputError(f"{path} is a link to {os.readlink(path)}, which is not there; mend the link, or remove it.")  # noqa: PTH115
    return InputError(f"there is no image file {path}; check the path.")


@contextmanager
def _opening(source: Any) -> Iterator[Image.Image]:
    with open_image(source) as image:
        yield image


def open_image(source: Any, formats: list[str] | None = None) -> Image.Image:
    """Pillow's `Image.open`, but up to MAX_PIXELS, where Pillow calls an image of 179 megapixels an attack."""
    with _OPENING:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(source, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = before
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError(f"it has {image.width} x {image.height} pixels, and at most {MAX_PIXELS} are read")
    return image


def _load(image: Image.Image) -> None:
    """Decode the pixels. Pillow 13.0 maps some files of a known name into memory, a turned TIFF with its sides exchanged."""
    if isinstance(image, ImageFile.ImageFile):
        name, image.filename = image.filename, ""
        try:
            image.load()
        finally:
            image.filename = name


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any of Pillow's modes to RGB."""
    if 0 in image.size:
        raise ValueError(f"it is {image.width} x {image.height} pixels")
    if image.mode.startswith("I"):
        return _scaled_to_8_bit(image).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose range is unknown; save it with 8 or 16 bits")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _scaled_to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit gray to 8-bit gray, its transparent level to white; Pillow's own conversion would clip at 255 instead of scaling."""
    gray = np.asarray(image).astype(np.int64)
    if gray.min() < 0 or gray.max() > MAX_16_BIT:
        raise ValueError(f"its gray values reach from {gray.min()} to {gray.max()}; save it with 8 or 16 bits")
    gray[gray == image.info.get("transparency", -1)] = MAX_16_BIT
    return Image.fromarray(np.round(gray * (255 / MAX_16_BIT)).astype(np.uint8))
