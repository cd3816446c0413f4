"""Truth, exported as other tools write it and converted, is the same truth: areas, classes, crowds, void."""

import json
from base64 import b64encode
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from export_forms import (
    content_of,
    export_instances,
    export_labelme,
    export_pairs,
    labelme_json,
    save_images,
    save_numbers,
)
from PIL import Image

from unipan.classes import ClassTable
from unipan.data.cityscapes import Cityscapes
from unipan.data.coco import CocoPanoptic
from unipan.data.coco_writer import Entry
from unipan.data.scenes.dataset import SceneDataset
from unipan.interchange.coco_instances import to_coco_instances
from unipan.ops.segments import Label, panoptic_map
from unipan.tools.convert.cityscapes import CityscapesSource, splits_with_truth
from unipan.tools.convert.instances import InstanceSource
from unipan.tools.convert.labelme import LabelmeSource, classes_of_labels, read_labelme
from unipan.tools.convert.pairs import PairSource
from unipan.tools.convert.source import Source, Unclaimed
from unipan.types import PanopticMap, Sample

CLASSES = ClassTable.from_categories(
    [{"id": 3, "name": "cat", "isthing": 1}, {"id": 5, "name": "sky", "isthing": 0}, {"id": 7, "name": "dog", "isthing": 1}]
)
OPTIONS = {
    "semantic": None,
    "stuff": [],
    "background": None,
    "ignore": [255],
    "overlap": "small",
    "unclaimed": "void",
    "clip": False,
}


@pytest.fixture(scope="module")
def scenes() -> SceneDataset:
    return SceneDataset(difficulty="crowded", size=(48, 64), seed=5, length=4)


@pytest.fixture(scope="module")
def samples(scenes: SceneDataset) -> list[Sample]:
    """Scenes with a corner of void."""
    changed = []
    for sample in (scenes[index] for index in range(len(scenes))):
        ids = sample.truth.ids.clone()
        ids[:5, :9] = 0
        labels = [Label(s.id, s.class_index) for s in sample.truth.segments]
        changed.append(replace(sample, truth=panoptic_map(ids, labels, scenes.classes)))
    assert any(segment.is_thing for sample in changed for segment in sample.truth.segments)
    return changed


def with_crowd(sample: Sample) -> Sample:
    """Its first thing as a crowd."""
    first = next((s for s in sample.truth.segments if s.is_thing), None)
    segments = tuple(replace(s, is_crowd=s is first) for s in sample.truth.segments)
    return replace(sample, truth=replace(sample.truth, segments=segments))


def check(source: Source, samples: list[Sample]) -> None:
    assert len(source.file_names) == len(samples)
    for index, sample in enumerate(samples):
        converted = source[index]
        assert converted.file_name == sample.file_name
        assert content_of(converted.panoptic) == content_of(sample.truth)
        assert converted.contested_px == 0
        assert not converted.vanished


@pytest.mark.parametrize("rle", [False, True])
def test_instances_come_back(rle: bool, scenes: SceneDataset, samples: list[Sample], tmp_path: Path) -> None:
    samples = [with_crowd(sample) for sample in samples]
    images = save_images(tmp_path / "images", samples)
    path = export_instances(tmp_path, samples, scenes.classes, rle=rle)
    stuff = json.loads((tmp_path / "stuff.json").read_text())
    source = InstanceSource(path, images, **OPTIONS | {"semantic": tmp_path / "semantic", "stuff": stuff})
    assert {(c.name, c.is_thing, c.dataset_id, c.color) for c in source.classes.classes} == {
        (c.name, c.is_thing, c.dataset_id, c.color) for c in scenes.classes.classes
    }
    check(source, samples)


def test_our_own_instances_come_back_with_their_stuff(samples: list[Sample], tmp_path: Path) -> None:
    """Their categories say themselves what is stuff."""
    images = save_images(tmp_path / "images", samples)
    content = to_coco_instances(Entry(number, sample.file_name, sample.truth) for number, sample in enumerate(samples))
    (tmp_path / "instances.json").write_text(json.dumps(content))
    check(InstanceSource(tmp_path / "instances.json", images, **OPTIONS), samples)


def test_pairs_come_back(scenes: SceneDataset, samples: list[Sample], tmp_path: Path) -> None:
    samples = [with_crowd(sample) for sample in samples]
    images = save_images(tmp_path / "images", samples)
    export_pairs(tmp_path, samples, scenes.classes)
    source = PairSource(
        tmp_path / "semantic", tmp_path / "instances", images, classes=scenes.classes, ignore=[255], unclaimed="crowd"
    )
    check(source, samples)


def test_labelme_shapes_come_back(scenes: SceneDataset, samples: list[Sample], tmp_path: Path) -> None:
    images = save_images(tmp_path / "images", samples)
    export_labelme(tmp_path / "labelme", samples)
    options = {"ignore": (), "background": None}
    seen = {s.name for sample in samples for s in sample.truth.segments if s.is_thing}
    classes = classes_of_labels(read_labelme(tmp_path / "labelme"), classes=None, things=sorted(seen), **options)
    assert {info.name for info in classes.classes if info.is_thing} == seen
    check(LabelmeSource(read_labelme(tmp_path / "labelme"), images, classes=classes, clip=False, **options), samples)


def test_the_sample_of_coco_comes_back(sample_data: Path) -> None:
    """Its detection file, whose compressed RLEs hold things and stuff alike."""
    folder = sample_data / "coco-sample/sample_data"
    stuff = json.loads((folder.parent / "panoptic_coco_categories.json").read_text())
    source = InstanceSource(folder / "panoptic_coco_detection_format.json", folder / "input_images", **OPTIONS | {"stuff": stuff})
    truth = CocoPanoptic(
        json_path=folder / "panoptic_examples.json",
        images_dir=folder / "input_images",
        png_dir=folder / "panoptic_examples",
        merge="none",
    )
    expected = {truth[index].image_id: truth[index].truth for index in range(len(truth))}
    crowds = 0
    for index in range(len(source.file_names)):
        converted = source[index]
        assert content_of(converted.panoptic) == content_of(expected.pop(converted.image_id))
        crowds += sum(segment.is_crowd for segment in converted.panoptic.segments)
    assert not expected
    assert crowds


def test_cityscapes_has_the_official_numbers(sample_data: Path) -> None:
    root = sample_data / "cityscapes-sample"
    assert splits_with_truth(root) == ["val"]
    source, reader = CityscapesSource(root, "val"), Cityscapes(root, "val", merge="none")
    converted = source[0]
    assert converted.image_id == "frankfurt_000000_000294"
    assert (source.images_dir / converted.file_name).is_file()
    values = np.array(Image.open(next(root.glob("gtFine/*/*/*_instanceIds.png"))))
    for segment in converted.panoptic.segments:
        label = reader.classes[segment.class_index].dataset_id
        assert segment.id in (label, label * 1000 + segment.id % 1000)
        assert segment.area == int((values == segment.id).sum())


def one(tmp_path: Path, annotations: list[dict], size: tuple[int, int] = (8, 10), **options: object) -> InstanceSource:
    """A source of one image with these annotations of cats (3) and dogs (7)."""
    save_numbers(tmp_path / "images" / "a.png", np.zeros(size, dtype=np.int32))
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": size[0], "width": size[1]}],
        "annotations": [{"id": n, "image_id": 1} | entry for n, entry in enumerate(annotations, 1)],
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
    }
    (tmp_path / "i.json").write_text(json.dumps(content))
    return InstanceSource(tmp_path / "i.json", tmp_path / "images", **OPTIONS | options)  # type: ignore[arg-type]


def box(x1: int, y1: int, x2: int, y2: int) -> list[list[float]]:
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def areas(panoptic: PanopticMap) -> dict[str, int]:
    return {segment.name + "*" * segment.is_crowd: segment.area for segment in panoptic.segments}


LARGE_CAT, SMALL_DOG = {"category_id": 3, "segmentation": box(0, 0, 6, 6)}, {"category_id": 7, "segmentation": box(4, 4, 8, 8)}


@pytest.mark.parametrize(
    ("annotations", "overlap", "expected"),
    [
        ([LARGE_CAT, SMALL_DOG], "small", {"cat": 32, "dog": 16}),
        ([SMALL_DOG, LARGE_CAT], "small", {"cat": 32, "dog": 16}),
        ([LARGE_CAT, SMALL_DOG], "order", {"cat": 32, "dog": 16}),
        ([SMALL_DOG, LARGE_CAT], "order", {"cat": 36, "dog": 12}),
        ([LARGE_CAT, SMALL_DOG | {"iscrowd": 1}], "small", {"cat": 36, "dog*": 12}),
        ([LARGE_CAT, SMALL_DOG | {"iscrowd": 1}], "order", {"cat": 36, "dog*": 12}),
    ],
)
def test_the_stated_rule_decides_overlaps(annotations: list[dict], overlap: str, expected: dict, tmp_path: Path) -> None:
    converted = one(tmp_path, annotations, overlap=overlap)[0]
    assert areas(converted.panoptic) == expected
    assert converted.contested_px == 4


def test_a_segment_that_is_covered_or_holds_no_centre_is_named(tmp_path: Path) -> None:
    thin = {"category_id": 7, "segmentation": [[0, 7.1, 9, 7.1, 9, 7.4, 0, 7.4]]}
    under = {"category_id": 3, "segmentation": box(1, 1, 3, 3)}
    converted = one(tmp_path, [under, LARGE_CAT, thin], overlap="order")[0]
    assert areas(converted.panoptic) == {"cat": 36}
    assert converted.vanished == ("a.png: annotation 1", "a.png: annotation 3")


def test_several_parts_and_stuff_among_the_annotations(tmp_path: Path) -> None:
    parts = {"category_id": 3, "segmentation": [*box(0, 0, 2, 2), *box(1, 1, 3, 3), *box(5, 5, 6, 6)]}
    grass = [{"category_id": 7, "segmentation": box(0, 4, 10, 8)}, {"category_id": 7, "segmentation": box(0, 0, 1, 1)}]
    converted = one(tmp_path, [parts, *grass], stuff=[{"id": 7, "name": "dog"}])[0]
    assert areas(converted.panoptic) == {"cat": 8, "dog": 39}
    assert [segment.is_thing for segment in converted.panoptic.segments] == [True, False]


@pytest.mark.parametrize(
    ("unclaimed", "expected"), [("void", {"cat": 36, "sky": 10}), ("crowd", {"cat": 36, "cat*": 20, "sky": 10})]
)
def test_pixels_of_a_thing_class_without_an_instance(unclaimed: str, expected: dict, tmp_path: Path) -> None:
    semantic = np.full((8, 10), 255)
    semantic[:7, :8], semantic[7] = 3, 5
    save_numbers(tmp_path / "semantic" / "a.png", semantic)
    options = {"semantic": tmp_path / "semantic", "stuff": [{"id": 5, "name": "sky"}], "unclaimed": unclaimed}
    assert areas(one(tmp_path, [LARGE_CAT], **options)[0].panoptic) == expected


def test_a_background_fills_the_rest(tmp_path: Path) -> None:
    source = one(tmp_path, [LARGE_CAT], background="ground")
    assert areas(source[0].panoptic) == {"cat": 36, "ground": 44}
    assert [(c.name, c.dataset_id, c.is_thing) for c in source.classes.classes][-1] == ("ground", 8, False)


def test_shapes_of_labelme(tmp_path: Path) -> None:
    """A later shape on top, one group one instance, stuff joined, labels to ignore void."""
    save_numbers(tmp_path / "a.png", np.zeros((8, 10), dtype=np.int32))

    def shape(label: str, *points: tuple[float, float], **more: object) -> dict:
        return {"label": label, "points": points, "shape_type": "rectangle"} | more

    shapes = [
        shape("sky", (0, 0), (10, 4)),
        shape("sky", (0, 7), (10, 8)),
        shape("cat", (1, 1), (3, 3), group_id=1),
        shape("cat", (5, 1), (7, 3), group_id=1),
        shape("dog", (2, 2), (3, 6)),
        {"label": "blur", "points": [(8, 0), (10, 0), (10, 8), (8, 8)], "shape_type": None},
    ]
    (tmp_path / "a.json").write_text(labelme_json((8, 10), "a.png", shapes))
    source = LabelmeSource(read_labelme(tmp_path), tmp_path, classes=CLASSES, ignore=["blur"], background=None, clip=False)
    converted = source[0]
    assert areas(converted.panoptic) == {"sky": 31, "cat": 7, "dog": 4}
    assert converted.image_id == "a"
    assert converted.contested_px == 8 + 1 + 10, "cats and dog on the sky, blur on the sky"


def png_text(mask: np.ndarray) -> str:
    stream = BytesIO()
    Image.fromarray(mask).save(stream, format="PNG")
    return b64encode(stream.getvalue()).decode()


@pytest.mark.parametrize(
    ("left", "top", "clip", "visible"),
    [(2, 1, False, np.s_[:, :]), (7, 5, True, np.s_[:3, :3]), (-2, -1, True, np.s_[1:, 2:]), (20, 20, True, np.s_[4:, 5:])],
)
def test_a_labelme_mask_lies_where_its_first_point_is(
    tmp_path: Path, left: int, top: int, clip: bool, visible: tuple[slice, slice]
) -> None:
    """One with a hole, as labelme's brush and its assisted drawing write it; cut off where it leaves the 8 x 10 image."""
    save_numbers(tmp_path / "a.png", np.zeros((8, 10), dtype=np.int32))
    mask = np.ones((4, 5), dtype=bool)
    mask[1:3, 2] = False
    box = [[left, top], [left + 4, top + 3]]
    shapes = [{"label": "cat", "points": box, "shape_type": "mask", "mask": png_text(mask)}]
    (tmp_path / "a.json").write_text(labelme_json((8, 10), "a.png", shapes))
    ids = LabelmeSource(read_labelme(tmp_path), tmp_path, classes=CLASSES, ignore=[], background=None, clip=clip)[0].panoptic.ids
    expected = np.zeros((8, 10), dtype=bool)
    kept = mask[visible]
    expected[max(top, 0) : max(top, 0) + kept.shape[0], max(left, 0) : max(left, 0) + kept.shape[1]] = kept
    assert np.array_equal(ids.numpy() != 0, expected)


def test_pairs_tell_instances_apart_by_class_and_number(tmp_path: Path) -> None:
    save_numbers(tmp_path / "images" / "a.png", np.zeros((2, 4), dtype=np.int32))
    save_numbers(tmp_path / "semantic" / "a.png", np.array([[3, 3, 7, 7], [5, 5, 3, 255]]))
    save_numbers(tmp_path / "instances" / "a.png", np.array([[1, 2, 1, 1], [4, 0, 0, 9]]))

    def convert(unclaimed: Unclaimed) -> PanopticMap:
        folders = (tmp_path / name for name in ("semantic", "instances", "images"))
        return PairSource(*folders, classes=CLASSES, ignore=[255], unclaimed=unclaimed)[0].panoptic

    found = [(s.name, s.is_crowd, s.area) for s in convert("crowd").segments]
    assert sorted(found) == [("cat", False, 1), ("cat", False, 1), ("cat", True, 1), ("dog", False, 2), ("sky", False, 2)]
    assert sorted((s.name, s.area) for s in convert("void").segments) == [("cat", 1), ("cat", 1), ("dog", 2), ("sky", 2)]
