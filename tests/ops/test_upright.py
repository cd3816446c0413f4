from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from unipan.ops.images import open_image, read_image
from unipan.ops.upright import SIDEWAYS, upright_size


def turned(kind: str, orientation: int) -> bytes:
    """A file whose stored pixels are 20 high and 30 wide."""
    exif, file = Image.Exif(), BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(file, kind, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["TIFF", "JPEG", "PNG", "WEBP"])
def test_a_header_tells_the_size_that_is_read(kind: str, orientation: int) -> None:
    content = turned(kind, orientation)
    with open_image(BytesIO(content)) as file:
        size = upright_size(file)
    assert size == ((30, 20) if orientation in SIDEWAYS else (20, 30)) == tuple(read_image(content).shape[1:])


@pytest.mark.parametrize("orientation", [1, 6])
def test_so_it_does_whether_or_not_pillow_exchanges_a_tiffs_sides(orientation: int) -> None:
    with open_image(BytesIO(turned("TIFF", orientation))) as file:
        for sides in (file.size, file.size[::-1]):
            file._size = sides
            assert upright_size(file) == ((30, 20) if orientation == 6 else (20, 30))
