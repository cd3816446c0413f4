import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unipan.data.id_maps import MAX_ID, ids_from_rgb, read_id_map, rgb_from_ids, write_id_map
from unipan.errors import InputError
from unipan.ops.images import read_image


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
def test_ids_and_colours_are_one_to_one(values: list[int]) -> None:
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


def test_palette_id_map_is_read_by_its_colours(tmp_path: Path) -> None:
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
