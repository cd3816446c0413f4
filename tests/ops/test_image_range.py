"""Files of many bits of which few are used."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unipan.ops import image_range
from unipan.ops.image_range import dim_range, read_and_warn
from unipan.ops.images import read_image


def save_16_bit_color(path: Path, top: int, *, alpha: bool) -> None:
    """A PNG of 2 x 1 pixels, which Pillow can read but not write."""
    pixel = [0, top, 0, 65535] if alpha else [0, top, 0]
    row = b"\0" + struct.pack(f">{2 * len(pixel)}H", *pixel, *pixel)
    parts = {b"IHDR": struct.pack(">IIBBBBB", 2, 1, 16, 6 if alpha else 2, 0, 0, 0), b"IDAT": zlib.compress(row), b"IEND": b""}
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts.items()
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def save_16_bit_tiff(path: Path, top: int) -> None:
    """The same as a TIFF, which holds 8 tags behind the pixels."""
    tags = [(256, 2), (257, 1), (258, 114), (262, 2), (273, 120), (277, 3), (278, 1), (279, 12)]
    listed = b"".join(struct.pack("<HHII", tag, 3, 3 if tag == 258 else 1, value) for tag, value in tags)
    start = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + listed + bytes(4)
    path.write_bytes(start.ljust(114, b"\0") + struct.pack("<9H", 16, 16, 16, 0, top, 0, 0, top, 0))


@pytest.mark.parametrize(("top", "dim"), [(255, True), (1023, True), (4095, True), (16383, True), (16384, False), (65535, False)])
@pytest.mark.parametrize("form", ["gray", "integers", "color", "alpha", "color.tif"])
def test_a_small_part_of_the_range_is_named(tmp_path: Path, form: str, top: int, dim: bool) -> None:
    path = tmp_path / ("a.tif" if form == "integers" else form if form == "color.tif" else "a.png")
    if form == "color.tif":
        save_16_bit_tiff(path, top)
    elif form in ("color", "alpha"):
        save_16_bit_color(path, top, alpha=form == "alpha")
    else:
        Image.fromarray(np.array([[0, top]], dtype=np.int32 if form == "integers" else np.uint16)).save(path)
    assert bool(dim_range(path)) is dim
    brightest = read_image(path).max()
    assert brightest <= 64 if dim else brightest >= 64
    if dim and form in ("gray", "integers"):
        assert f"values of 0 to {top} where white is 65535" in dim_range(path)


@pytest.mark.parametrize(("white", "top", "dim"), [(65535, 1023, True), (65535, 64000, False), (1023, 1023, False)])
def test_colors_of_a_ppm_are_measured_by_its_own_white(white: int, top: int, dim: bool) -> None:
    content = b"P6\n1 1\n%d\n" % white + struct.pack(">3H", 0, top, 0)
    assert bool(dim_range(content)) is dim


@pytest.mark.parametrize(("hot", "dim"), [(1, True), (2, False)])
def test_a_hot_pixel_makes_no_image_bright(tmp_path: Path, caplog: pytest.LogCaptureFixture, hot: int, dim: bool) -> None:
    values = np.full((40, 40), 1000, dtype=np.uint16)
    values[0, :hot] = 65535
    Image.fromarray(values).save(tmp_path / "a.png")
    assert ("values of 1000 to 1000 (and 1 above) where white is 65535" in dim_range(tmp_path / "a.png")) is dim
    read_and_warn(tmp_path / "a.png")
    assert ("nearly black" in caplog.text) is dim


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_a_dark_image_of_8_bits_is_no_matter(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (2, 2)).save(tmp_path / "a.png")
    assert dim_range(tmp_path / "a.png") == ""


@pytest.mark.parametrize(
    "content", [b"P1\n2 1\n1 1\n", b"P4\n2 1\n\xc0", b"P2\n2 1\n255\n0 0\n"], ids=lambda content: content[:2].decode()
)
def test_a_dark_file_of_few_bits_is_no_matter(content: bytes) -> None:
    assert dim_range(content) == ""
    assert read_and_warn(content).max() == 0


@pytest.mark.parametrize("dark", [0, 1])
def test_gray_without_bands_is_measured_whole(dark: int) -> None:
    """As in SGI files, whose gray Pillow reads as such; a column of another brightness tells nothing of the rest."""
    values = np.full((8, 8), 500 if dark else 60000, dtype=">u2")
    values[:, 0] = 0
    header = struct.pack(">HBBHHHH", 474, 0, 2, 2, 8, 8, 1) + bytes(500)
    assert bool(dim_range(header + values.tobytes())) == bool(dark)


def test_what_cannot_be_read_is_for_the_reader(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    assert dim_range(tmp_path / "a.png") == dim_range(tmp_path / "gone.png") == ""


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_range, "_NOTED", {})


@pytest.mark.parametrize("given", [str, Path.read_bytes, lambda path: BytesIO(path.read_bytes()), Image.open])
def test_a_dim_image_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, given: Callable[[Path], Any]) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[0, 1023]], dtype=np.uint16)).save(path)
    for _ in range(2):
        assert read_and_warn(given(path)).equal(read_image(path))
    (record,) = caplog.records
    assert "is 16-bit, with values of 0 to 1023 where white is 65535: the network sees it nearly black" in record.message


@pytest.mark.parametrize("image", [np.zeros((2, 2), np.uint8), Image.new("RGB", (2, 2)), np.full((2, 2), 40000, np.uint16)])
def test_what_is_dark_by_itself_or_bright_is_not_warned_of(image: Any, caplog: pytest.LogCaptureFixture) -> None:
    read_and_warn(Image.fromarray(image) if getattr(image, "dtype", None) == np.uint16 else image)
    assert caplog.text == ""
