"""Plain PNG files are read as Pillow reads them, and whatever may be more than its colors is left to Pillow."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from unipan.errors import InputError
from unipan.ops import images
from unipan.ops.images import read_image
from unipan.ops.plain_png import decode_plain, is_bare, is_plain

COLORS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def png(colors: np.ndarray, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(colors).save(buffer, "PNG", **options)
    return buffer.getvalue()


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("Pillow was asked")


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@given(arrays(np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 7), st.just(3))), st.integers(0, 9))
def test_colors_are_those_that_were_written(colors: np.ndarray, level: int) -> None:
    content = png(colors, compress_level=level)
    assert is_plain(content)
    assert is_bare(content)
    found = decode_plain(content)
    assert found is not None
    assert np.array_equal(found, colors)


def test_a_plain_file_and_its_bytes_are_read_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = png(COLORS, dpi=(72, 72), icc_profile=b"profile")
    (tmp_path / "a.png").write_bytes(content)
    expected = np.moveaxis(COLORS, -1, 0)
    monkeypatch.setattr(images, "open_image", refuse)
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), content, bytearray(content)):
        assert np.array_equal(read_image(source).numpy(), expected)


def text(key: str, value: str) -> PngInfo:
    info = PngInfo()
    info.add_text(key, value)
    return info


@pytest.mark.parametrize(
    "options",
    [
        {"exif": turned()},
        {"transparency": (0, 1, 2)},
        {"pnginfo": text("Raw profile type exif", "")},
        {"pnginfo": text("a", "b")},
    ],
    ids=["EXIF", "a transparent color", "EXIF in a text", "a text"],
)
def test_what_may_be_more_than_its_colors_is_left_to_pillow(options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    content = png(COLORS, **options)
    assert is_plain(content)
    assert not is_bare(content)
    monkeypatch.setattr(images, "open_image", refuse)
    with pytest.raises(AssertionError, match="Pillow was asked"):
        read_image(content)


def test_a_turned_png_stands_upright_and_a_transparent_color_is_white() -> None:
    assert read_image(png(COLORS, exif=turned())).shape == (3, 5, 4)
    assert read_image(png(COLORS, transparency=(0, 1, 2)))[:, 0, 0].tolist() == [255, 255, 255]


def test_exif_behind_the_pixels_counts_too() -> None:
    content, body = png(COLORS), turned().tobytes()
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
    assert not is_bare(content[:-12] + chunk + content[-12:])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "1"])
def test_other_kinds_are_not_plain(mode: str) -> None:
    buffer = BytesIO()
    Image.new(mode, (3, 2)).save(buffer, "PNG")
    assert not is_plain(buffer.getvalue())
    assert decode_plain(buffer.getvalue()) is None


@pytest.mark.parametrize("end", [8, 26, 33, 50, -20])
def test_a_cut_file_is_refused_in_words(end: int) -> None:
    content = png(COLORS)[:end]
    with pytest.raises(InputError, match="cannot read the image of"):
        read_image(content)
