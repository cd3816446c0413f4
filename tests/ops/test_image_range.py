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


@pytest.mark.parametrize(("top", "dim"), [(255, True), (1023, True), (4095, True), (16383, True), (16384, False), (65535, False)])
@pytest.mark.parametrize("form", ["gray", "integers", "color", "alpha"])
def test_a_small_part_of_the_range_is_named(tmp_path: Path, form: str, top: int, dim: bool) -> None:
    path = tmp_path / ("a.tif" if form == "integers" else "a.png")
    if form in ("color", "alpha"):
        save_16_bit_color(path, top, alpha=form == "alpha")
    else:
        Image.fromarray(np.array([[0, top]], dtype=np.int32 if form == "integers" else np.uint16)).save(path)
    assert bool(dim_range(path)) is dim
    brightest = read_image(path).max()
    assert brightest <= 64 if dim else brightest >= 64
    if dim and form in ("gray", "integers"):
        assert f"values of 0 to {top} where white is 65535" in dim_range(path)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_a_dark_image_of_8_bits_is_no_matter(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (2, 2)).save(tmp_path / "a.png")
    assert dim_range(tmp_path / "a.png") == ""


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
