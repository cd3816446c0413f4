"""The doctor and training read alike: no error in what training reads, and a mended copy means what training would have seen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unipan.data.coco import json_set
from unipan.errors import InputError
from unipan.tools.doctor.examine import examine
from unipan.tools.doctor.repair import fix
from unipan.tools.doctor.splits import find_splits

NAMES = ("sky", "road", "cat", "dog")
WIDTH = 6


def forms(value: int) -> st.SearchStrategy[Any]:
    """How exporters write a whole number."""
    return st.sampled_from([value, value, float(value), str(value), *([bool(value)] if value in (0, 1) else [])])


@st.composite
def contents(draw: st.DrawFn) -> tuple[dict[str, Any], list[list[int]]]:
    """A JSON that training reads, for two images of one row each, and the rows' ids."""
    isthing = draw(st.sampled_from([(0, 0, 1, 1), (0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 1)]))
    categories = [
        {"id": draw(forms(number + 1)), "name": name, "isthing": draw(forms(flag))}
        for number, (name, flag) in enumerate(zip(NAMES, isthing, strict=True))
    ]
    rows = draw(st.lists(st.lists(st.sampled_from([0, 1, 7, 300]), min_size=WIDTH, max_size=WIDTH), min_size=2, max_size=2))
    images, annotations = [], []
    for number, row in enumerate(rows):
        image_id = draw(st.sampled_from([number + 1, float(number + 1)]))
        images.append({"id": image_id, "file_name": f"{number}.png"})
        segments = []
        for id in sorted(set(row) - {0}):
            entry = {"id": draw(forms(id)), "category_id": draw(forms(draw(st.integers(1, 4))))}
            entry |= draw(st.sampled_from([{}, {"iscrowd": draw(forms(draw(st.integers(0, 1))))}, {"iscrowd": None}]))
            segments.append(entry | draw(st.sampled_from([{}, {"area": 1, "bbox": None}, {"area": "many", "bbox": [0, 0]}])))
        annotations.append({"image_id": number + 1, "file_name": f"{number}.png", "segments_info": segments})
    return {"images": images, "annotations": annotations[::-1], "categories": categories}, rows


def meaning(json_path: Path, images: Path) -> list[list[tuple[str, bool, frozenset[int]] | None]]:
    """Of each pixel that training would see: class, crowd or not, and its segment's pixels; stuff is joined where it may be."""
    dataset = json_set(json_path, images, None, merge="none")
    joins = any(dataset.classes.is_thing)
    seen = []
    for index in range(len(dataset)):
        truth = dataset[index].truth
        pixels: list[tuple[str, bool, frozenset[int]] | None] = [None] * WIDTH
        for segment in truth.segments:
            where = torch.nonzero(truth.ids[0] == segment.id)[:, 0].tolist()
            own = frozenset() if joins and not segment.is_thing and not segment.is_crowd else frozenset(where)
            for pixel in where:
                pixels[pixel] = segment.name, segment.is_crowd, own
        seen.append(pixels)
    return seen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("agrees")
    (root / "images").mkdir()
    (root / "train").mkdir()
    for number in (0, 1):
        Image.new("RGB", (WIDTH, 1), (number, 0, 0)).save(root / "images" / f"{number}.png")
    return root


@given(contents())
@settings(max_examples=30)
def test_what_training_reads_has_no_error_and_keeps_its_meaning(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, drawn: tuple[dict[str, Any], list[list[int]]]
) -> None:
    content, rows = drawn
    path, images = folder / "train.json", folder / "images"
    path.write_text(json.dumps(content))
    for number, row in enumerate(rows):
        ids = np.array([row])
        Image.fromarray(np.stack([ids % 256, ids // 256, ids * 0], -1).astype(np.uint8)).save(folder / "train" / f"{number}.png")
    splits = find_splits([path], images=[images], masks=[], names=[])
    diagnosis = examine(splits)
    seen = meaning(path, images)  # training reads it, ...
    assert diagnosis.trainable, diagnosis.findings  # ... so nothing breaks training
    (copy,) = fix(diagnosis, tmp_path_factory.mktemp("mended"))
    assert meaning(copy.split.json_path, images) == seen


def test_a_byte_order_mark_is_no_fault(folder: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "0.png"}],
        "annotations": [{"image_id": 1, "file_name": "0.png", "segments_info": [{"id": 1, "category_id": 1}]}],
        "categories": [{"id": 1, "name": "sky", "isthing": 0}],
    }
    path = folder / "marked.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    path.with_suffix("").mkdir()
    Image.new("RGB", (WIDTH, 1), (1, 0, 0)).save(path.with_suffix("") / "0.png")
    assert examine(find_splits([path], images=[folder / "images"], masks=[], names=[])).trainable


def test_images_and_pngs_may_share_a_folder(folder: Path) -> None:
    """Once --images says so; without it the images are not looked for among the PNGs."""
    path = folder / "shared.json"
    segments = [{"id": 1, "category_id": 1}]
    content = {
        "images": [{"id": 1, "file_name": "0.jpg"}],
        "annotations": [{"image_id": 1, "file_name": "0.png", "segments_info": segments}],
        "categories": [{"id": 1, "name": "sky", "isthing": 0}],
    }
    path.write_text(json.dumps(content))
    path.with_suffix("").mkdir()
    Image.new("RGB", (WIDTH, 1)).save(path.with_suffix("") / "0.jpg")
    Image.new("RGB", (WIDTH, 1), (1, 0, 0)).save(path.with_suffix("") / "0.png")
    with pytest.raises(InputError, match="name the folder with the images"):
        find_splits([path], images=[], masks=[], names=[])
    assert examine(find_splits([path], images=[path.with_suffix("")], masks=[], names=[])).trainable
