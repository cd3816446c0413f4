"""Overlays and their colors, on maps small enough to check by hand."""

import re
import resource
from dataclasses import replace
from errno import ENOSPC
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap
from unipan.viz.borders import depth, widened
from unipan.viz.canvas import save_image
from unipan.viz.colors import segment_colors
from unipan.viz.overlay import overlay

CLASSES = ClassTable.from_categories(
    [
        {"id": 7, "name": "road", "isthing": 0, "color": [128, 64, 128]},
        {"id": 9, "name": "car", "isthing": 1, "color": [0, 0, 142]},
        {"id": 12, "name": "<script>alert(1)</script>", "isthing": 1, "color": [90, 90, 90]},
    ]
)
ROAD, CAR, HOSTILE = range(3)


def blocks(*class_indices: int, height: int = 60, width: int = 80, score: float = 0.9) -> PanopticMap:
    """One block a class, of that height and width, side by side; ids count from 1."""
    ids = torch.arange(1, len(class_indices) + 1, dtype=torch.int32).repeat_interleave(width)[None].repeat(height, 1)
    labels = [Label(number, index, score=score) for number, index in enumerate(class_indices, start=1)]
    return panoptic_map(ids, labels, CLASSES)


def black(panoptic: PanopticMap) -> torch.Tensor:
    return torch.zeros(3, *panoptic.ids.shape, dtype=torch.uint8)


def test_stuff_has_its_class_color_and_no_two_instances_share_one() -> None:
    colors = segment_colors(blocks(ROAD, *[CAR] * 40, width=3), CLASSES)
    cars = [colors[segment_id] for segment_id in range(2, 42)]
    assert colors[1] == CLASSES[ROAD].color
    assert len(set(cars)) == 40
    assert all(np.abs(np.subtract(left, right)).sum() > 40 for left, right in pairwise(cars))


def test_color_of_an_instance_depends_on_its_place_not_on_its_id() -> None:
    panoptic = blocks(CAR, CAR, HOSTILE)
    renamed = torch.tensor([0, 900, 5, 77], dtype=torch.int32)[panoptic.ids.long()]
    again = panoptic_map(renamed, [Label(77, HOSTILE), Label(5, CAR), Label(900, CAR)], CLASSES)
    first, second = segment_colors(panoptic, CLASSES), segment_colors(again, CLASSES)
    assert [first[1], first[2], first[3]] == [second[900], second[5], second[77]]


def test_without_a_table_colors_are_those_of_the_map_s_own() -> None:
    panoptic = blocks(ROAD, CAR)
    assert segment_colors(panoptic)[1] == CLASSES[ROAD].color
    assert segment_colors(panoptic) == segment_colors(panoptic, CLASSES)
    assert overlay(panoptic, black(panoptic)) == overlay(panoptic, black(panoptic), CLASSES)


def test_another_table_gives_its_own_colors() -> None:
    recolored = ClassTable(tuple(replace(info, color=(255, 0, 0)) for info in CLASSES.classes))
    assert segment_colors(blocks(ROAD), recolored) == {1: (255, 0, 0)}


@pytest.mark.parametrize(
    ("size", "drawn"), [((600, 900), (900, 600)), ((200, 321), (321, 200)), ((120, 160), (480, 360)), ((1, 1), (480, 480))]
)
def test_an_overlay_has_the_images_size_unless_a_readable_one_is_asked_for(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    panoptic = blocks(CAR, height=size[0], width=size[1])
    assert overlay(panoptic, black(panoptic)).size == (size[1], size[0])
    assert overlay(panoptic, black(panoptic), scale=None).size == drawn


def test_outlines_lie_on_both_sides_of_a_border_and_nowhere_else() -> None:
    panoptic = blocks(ROAD, CAR)
    pixels = np.asarray(overlay(panoptic, black(panoptic), CLASSES, scale=1, labels=False))
    bright = pixels.min(axis=2) > 150
    assert bright[:, 79:81].all()
    assert not np.delete(bright, [79, 80], axis=1).any()


def test_void_is_grey_and_hatched() -> None:
    panoptic = panoptic_map(torch.zeros(60, 80, dtype=torch.int32), [], CLASSES)
    pixels = np.asarray(overlay(panoptic, black(panoptic), CLASSES, scale=1))
    assert (pixels == pixels[:, :, :1]).all()
    assert len(np.unique(pixels)) == 2


def test_depth_is_the_distance_to_the_nearest_border_counted_by_hand() -> None:
    ids = np.array([[1, 1, 1, 1, 2, 2]] * 5, dtype=np.int32)
    found = depth(ids, aspect=1.0)
    assert found.tolist() == [
        [1, 1, 1, 0, 0, 1],
        [1, 2, 1, 0, 0, 1],
        [1, 2, 1, 0, 0, 1],
        [1, 2, 1, 0, 0, 1],
        [1, 1, 1, 0, 0, 1],
    ]


def test_any_way_of_giving_the_image_draws_the_same(tmp_path) -> None:
    panoptic = blocks(ROAD, CAR)
    image = torch.randint(0, 256, (3, 60, 160), dtype=torch.uint8)
    as_pil = Image.fromarray(image.permute(1, 2, 0).numpy())
    as_pil.save(tmp_path / "image.png")
    drawn = [overlay(panoptic, given) for given in (image, as_pil, tmp_path / "image.png", str(tmp_path / "image.png"))]
    assert all(other == drawn[0] for other in drawn[1:])


def test_errors_name_both_sizes_or_the_file(tmp_path) -> None:
    with pytest.raises(InputError, match=r"10x10.*60x80"):
        overlay(blocks(CAR), Image.new("RGB", (10, 10)))
    with pytest.raises(InputError, match=r"missing\.jpg"):
        overlay(blocks(CAR), tmp_path / "missing.jpg")
    with pytest.raises(InputError, match="floats of 2 to 2"):
        overlay(blocks(CAR), torch.full((3, 60, 80), 2.0))


def test_a_large_image_is_drawn_in_bands_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    panoptic = blocks(CAR)
    panoptic.ids[:, 30:] = 0
    whole = overlay(panoptic, black(panoptic), CLASSES)
    monkeypatch.setattr("unipan.viz.overlay.BAND_PX", 1000)
    assert overlay(panoptic, black(panoptic), CLASSES) == whole


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 14, 40])
def test_widened_flags_are_those_of_the_slow_filter(radius: int) -> None:
    flags = np.random.default_rng(0).random((30, 24)) < 0.01
    expected = Image.fromarray(flags).convert("L").filter(ImageFilter.MaxFilter(2 * radius + 1))
    assert np.array_equal(widened(flags, radius), np.asarray(expected) > 0)


@pytest.mark.parametrize("suffix", ["png", "JPG", "webp", "avif", "tif", "gif", "bmp", "jp2", "pdf"])
def test_every_suffix_is_written_in_its_format(suffix: str, tmp_path: Path) -> None:
    if Image.registered_extensions().get(f".{suffix.lower()}") not in Image.SAVE:
        pytest.skip("an older Pillow, without AVIF")
    image = Image.new("RGB", (40, 30), (200, 30, 30))
    save_image(image, tmp_path / "below" / f"a.{suffix}")
    if suffix == "pdf":  # which Pillow does not read
        assert (tmp_path / "below/a.pdf").read_bytes().startswith(b"%PDF")
        return
    with Image.open(tmp_path / "below" / f"a.{suffix}") as written:
        assert written.format == Image.registered_extensions()[f".{suffix.lower()}"]
        assert np.abs(np.asarray(written.convert("RGB"), int) - np.asarray(image)).max() <= 8


@pytest.mark.parametrize("name", ["a.txt", "a", ".png", "a.h5", "a.xbm", "a.blp"])
def test_what_is_no_kind_of_image_to_write_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*; name it \.png or \.jpg\.$"):
        save_image(Image.new("RGB", (2, 2)), tmp_path / name)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("suffix", "others"),
    [
        ("gif", ".png or .jpg"),
        ("sgi", ".png or .jpg"),
        ("avif", ".png or .jpg"),
        ("webp", ".png or .jpg"),
        ("pcx", ".png or .jpg"),
        ("jpg", ".png"),
    ],
)
def test_an_image_too_large_for_its_format_is_told(suffix: str, others: str, tmp_path: Path) -> None:
    if Image.registered_extensions().get(f".{suffix}") not in Image.SAVE:
        pytest.skip("an older Pillow, without AVIF")
    with pytest.raises(InputError, match=rf"cannot write .*a\.{suffix}: .*; name it {re.escape(others)}\.$"):
        save_image(Image.new("RGB", (70_000, 8)), tmp_path / f"a.{suffix}")
    assert not [*tmp_path.iterdir()]


def test_a_disk_that_is_full_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    save_image(Image.new("RGB", (2, 2)), path)
    before = path.read_bytes()
    noise = Image.effect_noise((200, 200), 90)
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, former[1]))
    try:
        with pytest.raises(
            InputError, match=r"a\.png: File too large\. What stood there before is untouched\. See that the disk has room\.$"
        ):
            save_image(noise, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]

    def full(*_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"See that the disk has room\.$"):
        save_image(noise, path)
    with pytest.raises(InputError, match=r"File name too long\..* Check the name and the rights\.$"):
        save_image(noise, tmp_path / ("n" * 300 + ".png"))
