import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features
from raw_png import GRAY, GRAY_ALPHA, PALETTE, RGB, RGB_ALPHA, packed, write_png

from unipan.data.id_maps import MAX_ID, ids_from_rgb, read_id_map, rgb_from_ids, write_id_map
from unipan.errors import InputError
from unipan.ops.images import open_image, read_image
from unipan.ops.raw_forms import plain_numbers


def pixel(path: Path, row: int = 0, column: int = 0) -> list[int]:
    return read_image(path)[:, row, column].tolist()


def test_exif_orientation_turns_the_image_upright(tmp_path: Path) -> None:
    stored = np.zeros((2, 3, 3), np.uint8)
    stored[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: the first pixel goes to the upper right
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    image = read_image(tmp_path / "turned.png")
    assert image.shape == (3, 3, 2)
    assert image.dtype == torch.uint8
    assert image[0].nonzero().tolist() == [[0, 1]]


SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}
"""On which side of the image as seen the stored first row and first column lie, in the words of the EXIF standard."""


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("kind", ["png", "jpg", "tiff", "webp"])
def test_all_eight_orientations(orientation: int, kind: str, tmp_path: Path) -> None:
    stored = np.zeros((16, 32), np.uint8)  # a JPEG's own grid, so that its blocks stay uniform
    stored[:8, :16], stored[8:, :16], stored[:8, 16:] = 60, 120, 180
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).convert("RGB").save(tmp_path / f"turned.{kind}", exif=exif, lossless=True)
    seen = read_image(tmp_path / f"turned.{kind}")[0].numpy().astype(int)

    row_side, _ = SIDES[orientation]
    assert seen.shape == ((16, 32) if row_side in ("top", "bottom") else (32, 16))
    for row in range(16):
        for column in range(32):
            at = {"top": 0, "left": 0}
            for side, distance in zip(SIDES[orientation], (row, column), strict=True):
                vertical = side in ("top", "bottom")
                length = seen.shape[0 if vertical else 1]
                at["top" if vertical else "left"] = distance if side in ("top", "left") else length - 1 - distance
            assert abs(seen[at["top"], at["left"]] - int(stored[row, column])) <= 2


LEVELS = np.array([0, 257, 1000, 32896, 40000, 65535])
"""16-bit ones."""


def big_endian(values: np.ndarray) -> bytes:
    return values.astype(">u2").tobytes()


@pytest.mark.parametrize(("color", "channels"), [(GRAY, 1), (RGB, 3), (GRAY_ALPHA, 2), (RGB_ALPHA, 4)])
def test_every_16_bit_png_is_scaled(color: int, channels: int, tmp_path: Path) -> None:
    pixels = np.repeat(LEVELS[:, None], channels, 1)
    if channels in (2, 4):
        pixels[:, -1] = 65535
    path = write_png(tmp_path / "deep.png", width=len(LEVELS), depth=16, color=color, row=big_endian(pixels))
    for channel in read_image(path)[:, 0].tolist():
        assert channel == pytest.approx((LEVELS / 257).tolist(), abs=1), "at most one of 255 levels off"


def test_a_transparent_level_or_color_lies_over_white(tmp_path: Path) -> None:
    eight = write_png(tmp_path / "8.png", width=3, depth=8, color=GRAY, row=bytes([0, 100, 200]), tRNS=struct.pack(">H", 100))
    assert read_image(eight)[:, 0].tolist() == [[0, 255, 200]] * 3
    sixteen = write_png(tmp_path / "16.png", width=6, depth=16, color=GRAY, row=big_endian(LEVELS), tRNS=struct.pack(">H", 1000))
    assert read_image(sixteen)[:, 0].tolist() == [[0, 1, 255, 128, 156, 255]] * 3
    rgb = write_png(
        tmp_path / "rgb.png", width=2, depth=8, color=RGB, row=bytes([9, 8, 7, 1, 2, 3]), tRNS=struct.pack(">3H", 1, 2, 3)
    )
    assert read_image(rgb)[:, 0].tolist() == [[9, 255], [8, 255], [7, 255]]
    one = write_png(tmp_path / "1.png", width=4, depth=1, color=GRAY, row=bytes([0b0101_0000]), tRNS=struct.pack(">H", 0))
    assert read_image(one)[:, 0].tolist() == [[255, 255, 255, 255]] * 3
    two = write_png(tmp_path / "2.png", width=4, depth=2, color=GRAY, row=bytes([0b00_01_10_11]), tRNS=struct.pack(">H", 1))
    assert read_image(two)[:, 0].tolist() == [[0, 255, 170, 255]] * 3
    four = write_png(tmp_path / "4.png", width=4, depth=4, color=GRAY, row=bytes([0x01, 0x9F]), tRNS=struct.pack(">H", 9))
    assert read_image(four)[:, 0].tolist() == [[0, 17, 255, 255]] * 3
    opened = Image.open(four)
    assert read_image(opened).equal(read_image(opened)), "once, however often it is read"
    deep = write_png(
        tmp_path / "deep.png", width=2, depth=16, color=RGB, row=big_endian(np.array([9, 8, 7, 1000, 2000, 3000])),
        tRNS=struct.pack(">3H", 1000, 2000, 3000),
    )  # fmt: skip
    assert read_image(deep)[:, 0, 1].tolist() == [255, 255, 255]
    for path in (one, two, four, eight, sixteen, rgb, deep):
        with Image.open(path) as loaded:
            loaded.load()
            for _ in range(2):
                assert read_image(loaded.copy()).equal(read_image(path)), "as its file, with no name of how that was"
                assert read_image(loaded).equal(read_image(path))


def test_palettes_with_few_bits_and_half_transparent_colors(tmp_path: Path) -> None:
    colors = bytes([10, 20, 30, 40, 50, 60, 0, 0, 0])
    path = write_png(
        tmp_path / "p.png", width=3, depth=4, color=PALETTE, row=bytes([0x01, 0x20]), PLTE=colors, tRNS=bytes([255, 0, 51])
    )
    assert read_image(path)[:, 0].tolist() == [[10, 255, 204], [20, 255, 204], [30, 255, 204]]  # 255 x (1 - 51 / 255) = 204
    plain = write_png(tmp_path / "2.png", width=4, depth=2, color=GRAY, row=bytes([0b00_01_10_11]))
    assert read_image(plain)[:, 0].tolist() == [[0, 85, 170, 255]] * 3


def test_of_an_animation_the_first_image_is_read(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (4, 3), color) for color in ("red", "blue"))
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    assert read_image(tmp_path / "moving.gif").shape == (3, 3, 4)
    assert pixel(tmp_path / "moving.gif") == [255, 0, 0]


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 4))
def test_transparency_and_ink_by_their_formulas(tmp_path_factory: pytest.TempPathFactory, values: tuple[int, ...]) -> None:
    folder = tmp_path_factory.mktemp("modes")
    *color, alpha = values
    Image.new("RGBA", (1, 1), values).save(folder / "rgba.png")
    over_white = [alpha / 255 * level + 255 - alpha for level in color]
    assert pixel(folder / "rgba.png") == pytest.approx(over_white, abs=1.01)
    Image.new("CMYK", (1, 1), values).save(folder / "cmyk.tiff")
    *inks, black = values
    assert pixel(folder / "cmyk.tiff") == pytest.approx([(255 - ink) * (255 - black) / 255 for ink in inks], abs=1.01)


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGBA", (2, 2), (0, 0, 0, 128)).save(tmp_path / "half.png")
    Image.new("LA", (2, 2), (0, 0)).save(tmp_path / "gray.png")
    assert pixel(tmp_path / "clear.png") == [255, 255, 255]
    assert pixel(tmp_path / "half.png") == [127, 127, 127]
    assert pixel(tmp_path / "gray.png") == [255, 255, 255]


def test_16_bit_gray_is_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)).save(tmp_path / "deep.png")
    image = read_image(tmp_path / "deep.png")
    assert image[:, 0].tolist() == [[0, 1, 128, 255]] * 3


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (4, 3), "white").convert(mode).save(tmp_path / "white.png")
    image = read_image(tmp_path / "white.png")
    assert image.shape == (3, 3, 4)
    assert image.float().mean() == 255


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 3), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=100)
    red, green, blue = pixel(tmp_path / "red.jpg")
    assert red > 245
    assert max(green, blue) < 10


def test_grayscale_jpeg_of_the_samples_has_three_equal_channels(sample_data: Path) -> None:
    for split in ("train2017", "val2017"):
        gray = [path for path in (sample_data / "coco-mini" / split).glob("*.jpg") if Image.open(path).mode == "L"]
        assert len(gray) == 1
        image = read_image(gray[0])
        assert image.shape[0] == 3
        assert torch.equal(image[0], image[1])
        assert torch.equal(image[0], image[2])


def test_unreadable_images_are_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(whole)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:1000])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.png").write_text("no image")
    Image.new("F", (2, 2)).save(tmp_path / "float.tiff")
    Image.fromarray(np.full((2, 2), 70_000, np.int32)).save(tmp_path / "deep.tiff")
    for name in ("cut.jpg", "empty.jpg", "text.png", "float.tiff", "deep.tiff", "missing.jpg", "."):
        with pytest.raises(InputError, match=str(tmp_path / name)):
            read_image(tmp_path / name)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, MAX_ID), min_size=1, max_size=12))
def test_ids_and_colors_are_one_to_one(values: list[int]) -> None:
    ids = np.array([values], np.int32)
    rgb = rgb_from_ids(ids)
    assert np.array_equal(ids_from_rgb(rgb), ids)
    assert rgb.astype(int)[0] @ [1, 256, 256 * 256] == pytest.approx(values)


def test_id_map_files_lose_nothing(tmp_path: Path) -> None:
    ids = torch.tensor([[0, 1, 255], [256, 2**23 + 77, MAX_ID]], dtype=torch.int32)
    write_id_map(tmp_path / "ids.png", ids)
    read = read_id_map(tmp_path / "ids.png")
    assert read.dtype == torch.int32
    assert torch.equal(read, ids)


def test_palette_id_map_is_read_by_its_colors(tmp_path: Path) -> None:
    rgb = rgb_from_ids(np.array([[0, 5], [70_000, 5]], np.int32))
    Image.fromarray(rgb).quantize(4).save(tmp_path / "palette.png")
    assert read_id_map(tmp_path / "palette.png").tolist() == [[0, 5], [70_000, 5]]


def test_wrong_id_maps_are_refused(tmp_path: Path) -> None:
    Image.new("L", (2, 2)).save(tmp_path / "gray.png")
    Image.new("RGBA", (2, 2)).save(tmp_path / "alpha.png")
    Image.new("RGB", (2, 2)).save(tmp_path / "lossy.jpg")
    (tmp_path / "text.png").write_text(json.dumps({}))
    for name, complaint in (
        ("gray.png", "mode L"),
        ("alpha.png", "mode RGBA"),
        ("lossy.jpg", "JPEG"),
        ("text.png", "cannot read"),
        ("missing.png", "there is no"),
    ):
        with pytest.raises(InputError, match=complaint):
            read_id_map(tmp_path / name)
    for wrong in (-1, MAX_ID + 1):
        with pytest.raises(InputError, match=str(wrong)):
            write_id_map(tmp_path / "out.png", torch.tensor([[wrong]]))
    with pytest.raises(InputError, match="cannot write"):
        write_id_map(tmp_path / "nowhere" / "out.png", torch.tensor([[1]]))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("color", [GRAY, PALETTE])
def test_numbers_of_every_depth_are_those_in_the_file(color: int, depth: int, tmp_path: Path) -> None:
    """Pillow multiplies gray of 2 and 4 bits, so that white is 255."""
    if color == PALETTE and depth == 16:
        pytest.skip("the standard has no such palette")
    numbers = [0, 1, 2**depth - 1, 2**depth // 3]
    palette = {"PLTE": bytes(range(3)) * 2 ** min(depth, 8)} if color == PALETTE else {}
    path = write_png(tmp_path / "numbers.png", width=4, depth=depth, color=color, row=packed(numbers, depth), **palette)
    with open_image(path) as image:
        assert plain_numbers(image).tolist() == [numbers]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_a_damaged_avif_is_told_though_its_decoder_has_errors_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    Image.new("RGB", (64, 64), (10, 200, 30)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5] + bytes(5))  # a download broken off, its room on the disk taken before
    with pytest.raises(InputError, match=r"cannot read the image .*a\.avif"):
        read_image(path)
