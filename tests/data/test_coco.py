import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from unipan.data.coco import CocoPanoptic, coco_split
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.id_maps import write_id_map
from unipan.errors import InputError

CATEGORIES = [
    {"id": 3, "name": "cat", "isthing": 1, "supercategory": "animal"},
    {"id": 9, "name": "grass", "isthing": 0, "supercategory": "plant"},
    {"id": 12, "name": "tree", "isthing": 0, "supercategory": "plant"},
]
IDS = [[1, 1, 2, 0], [70_000, 70_000, 300, 300]]
SEGMENTS = [
    {"id": 1, "category_id": 3, "iscrowd": 0},
    {"id": 2, "category_id": 3, "iscrowd": 1},
    {"id": 70_000, "category_id": 9},
    {"id": 300, "category_id": 12},
]


def read_plainly(
    json_path: Path, png_dir: Path, image_ids: set[int | str]
) -> dict[int, tuple[int, dict[int, tuple[int, int, int]]]]:
    """image_id -> (void pixels, {segment id: (category id, crowd, pixels)})."""
    truth = {}
    for annotation in json.loads(json_path.read_text())["annotations"]:
        if annotation["image_id"] not in image_ids:
            continue
        rgb = np.array(Image.open(png_dir / annotation["file_name"]))
        ids, counts = np.unique(rgb.astype(int) @ [1, 256, 256**2], return_counts=True)
        pixels = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        segments = {s["id"]: (s["category_id"], s["iscrowd"], pixels.pop(s["id"])) for s in annotation["segments_info"]}
        assert pixels.keys() <= {0}
        truth[annotation["image_id"]] = pixels.get(0, 0), segments
    return truth


def check_against_plain_reading(dataset: CocoPanoptic, json_path: Path, png_dir: Path, positions: range) -> int:
    """Returns the number of crowd segments seen."""
    samples, crowds = [dataset[position] for position in positions], 0
    plain = read_plainly(json_path, png_dir, {sample.image_id for sample in samples})
    for sample in samples:
        void, segments = plain[int(sample.image_id)]
        ours = {s.id: (dataset.classes[s.class_index].dataset_id, int(s.is_crowd), s.area) for s in sample.truth.segments}
        assert ours == segments
        assert int((sample.truth.ids == 0).sum()) == void
        assert sample.image.shape == (3, *sample.truth.ids.shape)
        assert int(Path(sample.file_name).stem) == sample.image_id
        crowds += sum(segment.is_crowd for segment in sample.truth.segments)
    return crowds


@pytest.mark.parametrize(("split", "positions"), [("val2017", range(50)), ("train2017", range(100))])
def test_agrees_with_a_plain_reader_on_coco_mini(sample_data: Path, split: str, positions: range) -> None:
    root = sample_data / "coco-mini"
    dataset = coco_split(root, split, merge="none")
    assert (len(dataset), len(dataset.classes), len(dataset.classes.things)) == (len(positions), 133, 80)
    json_path = root / "annotations" / f"panoptic_{split}.json"
    assert check_against_plain_reading(dataset, json_path, json_path.with_suffix(""), positions) > 0


def test_agrees_with_a_plain_reader_on_the_format_sample(sample_data: Path) -> None:
    folder = sample_data / "coco-sample" / "sample_data"
    json_path, png_dir = folder / "panoptic_examples.json", folder / "panoptic_examples"
    dataset = CocoPanoptic(json_path=json_path, images_dir=folder / "input_images", png_dir=png_dir, merge="none")
    assert check_against_plain_reading(dataset, json_path, png_dir, range(2)) > 0


def test_merged_coco_mini(sample_data: Path) -> None:
    plain = coco_split(sample_data / "coco-mini", "train2017", merge="none")
    merged = coco_split(sample_data / "coco-mini", "train2017", merge="supercategory")
    assert (len(merged.classes), len(merged.classes.things), len(merged.classes.stuff)) == (27, 12, 15)
    for position in range(0, 100, 24):
        before, after = plain[position].truth, merged[position].truth
        stuff = [segment for segment in after.segments if not segment.is_thing]
        assert len({segment.class_index for segment in stuff}) == len(stuff)
        assert torch.equal(before.ids == 0, after.ids == 0)
        assert [(s.id, s.area, s.is_crowd) for s in before.segments if s.is_thing] == [
            (s.id, s.area, s.is_crowd) for s in after.segments if s.is_thing
        ]
        for segment in before.segments:
            info = plain.classes[segment.class_index]
            under = after.ids[before.ids == segment.id].unique().tolist()
            owner = next(s for s in after.segments if [s.id] == under)
            assert merged.classes[owner.class_index].supercategory == info.supercategory
            assert owner.is_thing == info.is_thing


def small_set(root: Path, change: Callable[[dict[str, Any]], None] = lambda content: None) -> Path:
    """Two images; the JSON's annotations stand in the reverse order of its images."""
    (root / "annotations" / "panoptic_val").mkdir(parents=True, exist_ok=True)
    (root / "val").mkdir(exist_ok=True)
    images, annotations = [], []
    for image_id in (7, 4):
        Image.new("RGB", (4, 2), (image_id, 0, 0)).save(root / "val" / f"{image_id}.png")
        write_id_map(root / "annotations" / "panoptic_val" / f"{image_id}.png", torch.tensor(IDS))
        images.append({"id": image_id, "file_name": f"{image_id}.png"})
        segments = [dict(segment) for segment in SEGMENTS]
        annotations.insert(0, {"image_id": image_id, "file_name": f"{image_id}.png", "segments_info": segments})
    content = {"images": images, "annotations": annotations, "categories": [dict(entry) for entry in CATEGORIES]}
    change(content)
    (root / "annotations" / "panoptic_val.json").write_text(json.dumps(content))
    return root


def test_images_and_annotations_join_by_id(tmp_path: Path) -> None:
    dataset = coco_split(small_set(tmp_path), "val", merge="none")
    assert [(sample.image_id, int(sample.image[0, 0, 0])) for sample in dataset] == [(7, 7), (4, 4)]
    assert dataset[-1].image_id == 4
    assert [(s.name, s.is_crowd, s.area) for s in dataset[0].truth.segments] == [
        ("cat", False, 2),
        ("cat", True, 1),
        ("grass", False, 2),
        ("tree", False, 2),
    ]


def test_images_without_an_annotation_are_left_out(tmp_path: Path) -> None:
    root = small_set(tmp_path, lambda content: content["annotations"].pop())  # image 7's
    dataset = coco_split(root, "val", merge="none")
    assert ([sample.image_id for sample in dataset], dataset.left_out) == ([4], 1)


def test_merging_joins_stuff_and_leaves_things_and_crowds(tmp_path: Path) -> None:
    sample = coco_split(small_set(tmp_path), "val", merge="supercategory")[0]
    assert sample.truth.ids.tolist() == [[1, 1, 2, 0], [70_000, 70_000, 70_000, 70_000]]
    assert [(s.name, s.is_crowd, s.area) for s in sample.truth.segments] == [
        ("animal", False, 2),
        ("animal", True, 1),
        ("plant", False, 4),
    ]


def test_an_image_without_segments_is_void(tmp_path: Path) -> None:
    root = small_set(tmp_path, lambda content: content["annotations"][0].update(segments_info=[]))
    write_id_map(root / "annotations" / "panoptic_val" / "4.png", torch.zeros(2, 4, dtype=torch.int32))
    assert coco_split(root, "val", merge="none")[1].truth.segments == ()


def test_the_index_is_small(sample_data: Path) -> None:
    dataset = coco_split(sample_data / "coco-mini", "train2017", merge="none")
    assert len(pickle.dumps(dataset)) < 40_000  # what each worker gets; the JSON has several hundred kB


def first(content: dict[str, Any]) -> dict[str, Any]:
    return content["annotations"][1]


JSON_FAULTS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda c: c.pop("images"), "images: Field required"),
    (lambda c: first(c).pop("file_name"), r"annotations\.1\.file_name: Field required"),
    (lambda c: c["categories"][0].pop("isthing"), "lacks isthing"),
    (lambda c: first(c)["segments_info"][0].update(category_id=77), r"category_ids .* 7\.png: 77"),
    (lambda c: first(c)["segments_info"][0].update(id=2), r"segment ids that stand more than once, annotation 7\.png: 2"),
    (lambda c: first(c)["segments_info"][0].update(id=0), r"outside 1\.\.16777215, annotation 7\.png: 0"),
    (lambda c: c["annotations"].clear(), "has no image with an annotation"),
    (lambda c: c["annotations"].append(first(c)), "more than one annotation: 7"),
    (lambda c: c["images"].append(c["images"][0]), "image ids that stand more than once in images: 7"),
    (lambda c: c["images"].pop(0), "whose image_id is not in images: 7"),
]


@pytest.mark.parametrize(("change", "complaint"), JSON_FAULTS)
def test_a_faulty_json_is_refused_at_once(tmp_path: Path, change: Callable[[dict[str, Any]], None], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        coco_split(small_set(tmp_path, change), "val", merge="none")


def test_png_and_json_must_name_the_same_ids(tmp_path: Path) -> None:
    dataset = coco_split(small_set(tmp_path), "val", merge="none")
    write_id_map(tmp_path / "annotations" / "panoptic_val" / "7.png", torch.tensor([[1, 1, 2, 5], [300, 300, 300, 6]]))
    with pytest.raises(InputError, match=r"7\.png .* 5, 6 are in the PNG but not in the JSON; ids 70000 are in the JSON"):
        dataset[0]
    assert dataset[1].image_id == 4


def test_swapped_channels_are_named_as_that(tmp_path: Path) -> None:
    dataset = coco_split(small_set(tmp_path), "val", merge="none")
    path = tmp_path / "annotations" / "panoptic_val" / "7.png"
    Image.fromarray(np.array(Image.open(path))[..., ::-1]).save(path)
    with pytest.raises(InputError, match=r"7\.png .*red and blue swapped.*doctor --fix"):
        dataset[0]


def test_image_and_png_must_have_one_size(tmp_path: Path) -> None:
    dataset = coco_split(small_set(tmp_path), "val", merge="none")
    Image.new("RGB", (5, 2)).save(tmp_path / "val" / "7.png")
    with pytest.raises(InputError, match=r"7\.png is 5x2 but 7\.png is 4x2"):
        dataset[0]
    (tmp_path / "val" / "7.png").unlink()
    with pytest.raises(InputError, match="there is no image file"):
        dataset[0]


def test_a_wrong_root_explains_the_layout(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"annotations/panoptic_train\.json.*no split was found.*in Python data=\{.train.: JSON, "
    ):
        coco_split(tmp_path, "train", merge="none")
    small_set(tmp_path)
    with pytest.raises(InputError, match="splits found: val"):
        coco_split(tmp_path, "train", merge="none")
    (tmp_path / "annotations" / "panoptic_val.json").write_text('{"images": [')
    with pytest.raises(InputError, match="is not a JSON file in the COCO panoptic format"):
        coco_split(tmp_path, "val", merge="none")
    (tmp_path / "val").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"there is no folder .*val; expected the images"):
        coco_split(tmp_path, "val", merge="none")


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    dataset = coco_split(small_set(tmp_path / "in"), "val", merge="none")
    entries = [Entry(sample.image_id, sample.file_name, sample.truth) for sample in dataset]
    out = tmp_path / "out"
    path = write_panoptic(out, entries, dataset.classes, json_name="panoptic.json", png_folder="panoptic", scores=False)
    again = CocoPanoptic(json_path=path, images_dir=tmp_path / "in" / "val", png_dir=out / "panoptic", merge="none")
    assert again.classes == dataset.classes
    for mine, read in ((dataset[position], again[position]) for position in range(2)):
        assert torch.equal(mine.truth.ids, read.truth.ids)
        assert mine.truth.segments == read.truth.segments
    content = json.loads(path.read_text())
    assert content["images"][0] == {"id": 7, "file_name": "7.png", "height": 2, "width": 4}
    tree = {"id": 300, "category_id": 12, "area": 2, "bbox": [2, 1, 2, 1], "iscrowd": 0}
    assert content["annotations"][0]["segments_info"][3] == tree
    write_panoptic(out, entries[:1], dataset.classes, json_name="panoptic.json", png_folder="panoptic", scores=True)
    assert json.loads(path.read_text())["annotations"][0]["segments_info"][3] == tree | {"score": 1.0}


def test_writing_never_overwrites_one_image_by_another(tmp_path: Path) -> None:
    dataset = coco_split(small_set(tmp_path), "val", merge="none")
    for name in ("b/x.png", "b/x.jpg"):  # another name, and the very same
        entries = [Entry(1, "b/x.jpg", dataset[0].truth), Entry(2, name, dataset[0].truth)]
        with pytest.raises(InputError, match=rf"b/x\.jpg and {name} would both become b/x\.png"):
            write_panoptic(tmp_path / "out", entries, dataset.classes, json_name="p.json", png_folder="p", scores=True)


def test_a_failed_write_leaves_the_former_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = coco_split(small_set(tmp_path), "val", merge="none")
    (tmp_path / "p.json").write_text("former")

    def full(self: Path, *_: object, **__: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match=r"cannot write .*p\.json.*No space left"):
        write_panoptic(tmp_path, [], dataset.classes, json_name="p.json", png_folder="p", scores=True)
    assert (tmp_path / "p.json").read_text() == "former"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["p.json"]
