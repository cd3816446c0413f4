"""The doctor's pure parts, against slow and plain ones."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unipan.classes import ClassInfo
from unipan.data.coco_writer import annotation_of
from unipan.tools.doctor.balance import Balance, Doubles
from unipan.tools.doctor.entries import listed
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.findings import FIRST, Fault, Findings
from unipan.tools.doctor.images import ImageCheck
from unipan.tools.doctor.relabel import relabelled
from unipan.tools.doctor.segments import ListedSegment


def info(id: int, name: str, is_thing: bool) -> ClassInfo:
    return ClassInfo(name=name, is_thing=is_thing, dataset_id=id, color=(0, 0, 0), supercategory=name)


CLASSES = {0: info(0, "cat", True), 7: info(7, "sea", False)}

id_maps = arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2))


@given(id_maps, st.lists(st.sampled_from([0, 7, 99]), min_size=3, max_size=3), st.booleans())
def test_mended_ids_and_entries_agree(ids: np.ndarray, categories: list[int], crowd: bool) -> None:
    """Whatever the JSON says of ids 1 to 3: afterwards ids, areas and entries are one, and only what had to change did."""
    rows = tuple(
        ListedSegment(id, category, crowd and category == 0, None, None)
        for id, category in zip((1, 2, 3), categories, strict=True)
    )
    new = relabelled(torch.from_numpy(ids), rows, CLASSES)
    segments = annotation_of(new, new.classes, image_id=1, file_name="a.png", scores=False)["segments_info"]
    plain = new.ids.numpy()
    assert {s["id"]: s["area"] for s in segments} == {int(i): int((plain == i).sum()) for i in np.unique(plain) if i}
    stuff = [s["category_id"] for s in segments if s["category_id"] == 7]
    assert len(stuff) <= 1
    category_of = {row.id: row.category_id for row in rows if row.category_id in CLASSES}
    for before in np.unique(ids):
        after = {category_of.get(int(i)) for i in np.unique(plain[ids == before])}
        assert after == {category_of.get(int(before))}
    for segment in segments:
        x, y, width, height = segment["bbox"]
        inside = plain[y : y + height, x : x + width] == segment["id"]
        assert inside.sum() == segment["area"]
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()


@pytest.mark.parametrize("entry", [None, 3, "x", [], {}, {"id": None}, {"id": [1], "file_name": "a"}, {"id": 1, "file_name": 2}])
def test_no_entry_is_too_odd(entry: object) -> None:
    """Whatever stands in the lists, it is counted and passed over."""
    content = {
        "images": [entry, {"id": 1, "file_name": "a.jpg", "height": "5", "width": None}],
        "annotations": [entry, {"image_id": 1, "file_name": "a.png", "segments_info": [entry, {"id": 5, "category_id": 0}]}],
        "categories": [entry, {"id": 0, "name": "cat", "isthing": 1}],
    }
    rest = listed(content)
    assert [fault.kind for fault in rest.faults] == [Kind.CATEGORY_MALFORMED] + 3 * [Kind.ENTRY_MALFORMED]
    (image,) = rest.labelled
    assert image.segments == (ListedSegment(5, 0, False, None, None),)
    assert image.size is None


@pytest.mark.parametrize(
    ("where", "change", "named"),
    [
        ("images", {"file_name": 2}, "at file_name: "),
        ("annotations", {"segments_info": {}}, "at segments_info: "),
        ("annotations", {"image_id": None}, "at image_id"),
        ("segments", {"iscrowd": "no"}, "at iscrowd: "),
        ("segments", {"category_id": None}, "at category_id: "),
        ("annotations", {"segments_info": [None]}, "null, at the entry: it is no JSON object"),
    ],
)
def test_the_key_that_is_wrong_is_named(where: str, change: dict[str, object], named: str) -> None:
    entries = {
        "images": {"id": 1, "file_name": "a.jpg"},
        "segments": {"id": 5, "category_id": 0},
        "annotations": {"image_id": 1, "file_name": "a.png", "segments_info": []},
    }
    entries["annotations"]["segments_info"] = [entries["segments"]]
    entries[where].update(change)
    categories = [{"id": 0, "name": "cat", "isthing": 1}]
    rest = listed({"images": [entries["images"]], "annotations": [entries["annotations"]], "categories": categories})
    fault = next(fault for fault in rest.faults if fault.kind is Kind.ENTRY_MALFORMED)
    assert named in fault.where


def test_findings_keep_the_first_few_and_errors_first() -> None:
    findings = Findings()
    findings.add("train", [Fault(Kind.WRONG_AREA, str(number)) for number in range(9)])
    findings.add("val", [Fault(Kind.PNG_MISSING, "a")])
    findings.add("train", [Fault(Kind.WRONG_AREA, "9")])
    missing, area = findings.all()
    assert (missing.kind, missing.split, missing.count) == (Kind.PNG_MISSING, "val", 1)
    assert (area.count, area.first) == (10, ["0", "1", "2", "3", "4"][:FIRST])


def test_doubles_across_splits_and_within() -> None:
    doubles = Doubles()

    def kinds(split: str, name: str, digest: bytes) -> list[Kind]:
        return [fault.kind for fault in doubles.faults(split, ImageCheck(name, digest=digest))]

    assert kinds("train", "a/1.jpg", b"x") == []
    assert kinds("train", "b/1.jpg", b"y") == []  # one name in two folders of a split is no fault
    assert kinds("train", "2.jpg", b"x") == [Kind.DUPLICATE_IMAGE]
    assert kinds("val", "3.jpg", b"y") == [Kind.OVERLAP_IMAGE]
    assert kinds("val", "1.jpg", b"z") == []
    assert kinds("val", "4.jpg", b"") == []  # two that can't be read are not the same
    assert kinds("val", "5.jpg", b"") == []
    assert [fault.where for fault in doubles.end_of_split()] == ["1.jpg (also in train)"]
    assert kinds("train", "2.jpg", b"x") == [Kind.DUPLICATE_IMAGE]  # the same name, listed twice
    for name in ("1.jpg", "2.jpg"):
        assert kinds("test", name, name.encode()) == []
    assert doubles.end_of_split() == [], "each split counts from one"


def test_unseen_classes_name_things_first() -> None:
    balance = Balance("train", {7: CLASSES[7], 0: CLASSES[0], 9: info(9, "dog", True)})
    look = ImageCheck("a.jpg", void=3)
    look.pixels[9], look.segments[9] = 5, 1
    balance.add(look)
    assert [fault.where for fault in balance.faults()] == ["cat (thing)", "sea (stuff)"]
    assert balance.void_share == 3 / 8


def test_things_that_are_crowds_alone_are_named_with_their_numbers() -> None:
    balance = Balance("train", {0: CLASSES[0], 9: info(9, "dog", True)})
    for crowds in (1, 2):
        look = ImageCheck("a.jpg", void=1)
        look.segments.update({0: 2, 9: 2})
        look.crowds.update({0: 2, 9: crowds})
        balance.add(look)
    assert [fault for fault in balance.faults() if fault.kind is Kind.ONLY_CROWDS] == [
        Fault(Kind.ONLY_CROWDS, "cat: 4 crowds in 2 images")
    ]
    assert balance.with_instances == {"dog"}
    assert Kind.ONLY_CROWDS not in [fault.kind for fault in balance.faults({"cat"})]
