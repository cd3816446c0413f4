"""How large an image is as a person sees it, by its header alone; `read_image` reads its pixels to the same size."""

from PIL import Image

from unipan.types import Size

EXIF_ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""
TURNED = (2, 3, 4, *SIDEWAYS)
"""All but the upright one."""
TIFF_WIDTH, TIFF_HEIGHT = 0x0100, 0x0101


def upright_size(image: Image.Image) -> Size:
    """Height and width, upright by the EXIF tag, of an image that is opened and not yet loaded."""
    width, height = image.size
    tags = getattr(image, "tag_v2", None)  # a TIFF's, whose sides newer Pillows exchange on opening and leave its tag
    if tags is not None:
        width, height = tags[TIFF_WIDTH], tags[TIFF_HEIGHT]
    return (width, height) if image.getexif().get(EXIF_ORIENTATION) in SIDEWAYS else (height, width)
