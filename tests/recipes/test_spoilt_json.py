"""JSON files spoilt at random: each is read, or refused in a sentence; and what the doctor lets pass, training can read."""

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unipan.choices import Faulty
from unipan.data.coco import json_set
from unipan.errors import InputError
from unipan.tools.convert.instances import InstanceSource
from unipan.tools.convert.labelme import LabelmeSource, classes_of_labels, read_labelme
from unipan.tools.convert.run import convert, parts_of
from unipan.tools.doctor.examine import examine
from unipan.tools.doctor.splits import find_splits

TRIES = 150
FAULTY: list[Faulty] = ["stop", "skip"]
NUMBERS = [0, -1, 1.5, 2**31, 2**63, 10**30, 1e300, float("nan"), float("inf"), True, False, None]
TEXTS = ["", "x", "1", "../x", "/etc/passwd", "a\0b", "\ud800", "n" * 300]
LISTS = [[], [1], ["a"], [None] * 4, [300, -1, 5], [[0, 0]], [[0, 0, 1e308, 0, 1e308, 1e308]], {}, {"a": 1}]
RUNS = [{"counts": counts, "size": [8, 8]} for counts in ([5], [10**30], "zzzz", "o" * 40, "\u00e9")]
NASTY = [*NUMBERS, *TEXTS, *LISTS, *RUNS]

IMAGES = [{"id": n, "file_name": f"{n}.png", "height": 8, "width": 8} for n in (1, 2)]
CATEGORIES = [
    {"id": 1, "name": "sky", "isthing": 0, "color": [1, 2, 3], "supercategory": "up"},
    {"id": 2, "name": "car", "isthing": 1},
]
SEGMENTS = [
    {"id": 1, "category_id": 1, "iscrowd": 0, "area": 31, "bbox": [0, 0, 8, 4]},
    {"id": 300, "category_id": 2, "area": 32, "bbox": [0, 4, 8, 4]},
]
PANOPTIC = {
    "images": IMAGES,
    "annotations": [{"image_id": n, "file_name": f"{n}.png", "segments_info": SEGMENTS} for n in (1, 2)],
    "categories": CATEGORIES,
}
INSTANCES = {
    "images": IMAGES,
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 2, "segmentation": [[0, 0, 4, 0, 4, 4]]},
        {"id": 2, "image_id": 2, "category_id": 1, "segmentation": {"counts": [8, 16, 40], "size": [8, 8]}, "iscrowd": 1},
    ],
    "categories": CATEGORIES,
}
LABELME = {
    "shapes": [
        {"label": "car", "points": [[0, 0], [4, 0], [4, 4]], "shape_type": "polygon", "group_id": None},
        {"label": "sky", "points": [[0, 4], [8, 8]], "shape_type": "rectangle"},
    ],
    "imagePath": "1.png",
    "imageHeight": 8,
    "imageWidth": 8,
}


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value below."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from paths_in(child, (*path, key))


def spoilt(content: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """A copy in which one value is another, is gone or, in a list, stands twice."""
    content = deepcopy(json.loads(json.dumps(content)))
    *way, last = draw.choice(list(paths_in(content)))
    parent: Any = content
    for key in way:
        parent = parent[key]
    what = draw.random()
    if what < 0.7:
        parent[last] = draw.choice(NASTY)
    elif what < 0.85 or not isinstance(parent, list):
        del parent[last]
    else:
        parent.append(parent[last])
    return content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images, and in panoptic/ their PNGs."""
    root = tmp_path_factory.mktemp("spoilt")
    (root / "panoptic").mkdir()
    rgb = np.zeros((8, 8, 3), dtype=np.uint8)
    rgb[:4], rgb[4:], rgb[0, 0] = (1, 0, 0), (44, 1, 0), 0
    for number in (1, 2):
        Image.fromarray(rgb).save(root / "panoptic" / f"{number}.png")
        Image.new("RGB", (8, 8), (number, 0, 0)).save(root / f"{number}.png")
    return root


@pytest.mark.parametrize("name", ["n" * 300, "n" * 300 + "/1.png", "a\0b", ".", "panoptic", "1.png/1.png"])
def test_names_that_no_file_can_bear(folder: Path, tmp_path: Path, name: str) -> None:
    path = folder / "panoptic.json"
    for part in ("images", "annotations"):
        content = deepcopy(PANOPTIC)
        content[part][0]["file_name"] = name
        path.write_text(json.dumps(content))
        assert not readable(path, folder)
        assert not trainable(path, folder)
    content = deepcopy(INSTANCES)
    content["images"][0]["file_name"] = name
    (tmp_path / "i.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"there is no image|leads out"):
        convert_instances(tmp_path / "i.json", folder, tmp_path / "out", clip=False, faulty="stop")


def readable(json_path: Path, folder: Path) -> bool:
    try:
        dataset = json_set(json_path, folder, None, merge="none")
        for position in range(len(dataset)):
            _ = dataset[position]
    except InputError:
        return False
    return True


def trainable(json_path: Path, folder: Path) -> bool:
    try:
        return examine(find_splits([json_path], images=[folder], masks=[], names=[])).trainable
    except InputError:
        return False


def test_the_doctor_finds_errors_where_training_does_and_nowhere_else(folder: Path) -> None:
    draw, path = random.Random(0), folder / "panoptic.json"
    path.write_text(json.dumps(PANOPTIC))
    assert trainable(path, folder)
    passed = 0
    for _ in range(TRIES):
        path.write_text(json.dumps(spoilt(PANOPTIC, draw)))
        read = readable(path, folder)
        passed += read
        assert trainable(path, folder) is read, path.read_text()
    assert TRIES / 10 < passed < TRIES / 2, "changes of areas and boxes break nothing, most others do"


def convert_instances(path: Path, images: Path, out: Path, *, clip: bool, faulty: Faulty) -> None:
    options: dict[str, Any] = {"semantic": None, "stuff": [], "ignore": [255], "overlap": "small", "unclaimed": "void"}
    source = InstanceSource(path, images, background="ground", clip=clip, **options)
    convert(parts_of(source, split="train", val_share=0, seed=0), out, faulty=faulty)


def test_spoilt_instances_are_converted_or_refused(folder: Path, tmp_path: Path) -> None:
    draw, path, refused = random.Random(1), tmp_path / "i.json", 0
    for number in range(TRIES):
        path.write_text(json.dumps(spoilt(INSTANCES, draw)))
        try:
            convert_instances(path, folder, tmp_path / str(number), clip=bool(number % 2), faulty=FAULTY[number % 4 // 2])
        except InputError:
            refused += 1
            assert not list(tmp_path.glob(f"{number}/annotations/*.json"))
    assert TRIES / 3 < refused < TRIES


def test_spoilt_labelme_files_are_converted_or_refused(folder: Path, tmp_path: Path) -> None:
    draw, labels, refused = random.Random(2), tmp_path / "labels", 0
    labels.mkdir()
    for number in range(TRIES):
        (labels / "1.json").write_text(json.dumps(spoilt(LABELME, draw)))
        try:
            content = read_labelme(labels)
            classes = classes_of_labels(content, classes=None, things=["car"], ignore=[], background="ground")
            source = LabelmeSource(content, folder, classes=classes, ignore=[], background="ground", clip=bool(number % 2))
            parts = parts_of(source, split="train", val_share=0, seed=0)
            convert(parts, tmp_path / str(number), faulty=FAULTY[number % 4 // 2])
        except InputError:
            refused += 1
    assert TRIES / 3 < refused < TRIES
