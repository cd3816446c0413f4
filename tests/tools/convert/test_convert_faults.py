"""What can't be used of an export is counted, and left out when asked; what is unambiguous is read in whatever form it comes."""

import json
import os
import re
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cityscapes_files import write_download
from export_forms import labelme_json, save_numbers

from unipan.classes import ClassTable
from unipan.data.coco import json_set
from unipan.errors import InputError
from unipan.tools.convert.cityscapes import CityscapesSource
from unipan.tools.convert.instances import InstanceSource
from unipan.tools.convert.labelme import LabelmeSource, read_labelme
from unipan.tools.convert.pairs import PairSource
from unipan.tools.convert.report import Part, sentences
from unipan.tools.convert.run import convert, parts_of
from unipan.tools.convert.source import Converted, Source
from unipan.tools.doctor.splits import find_splits

CLASSES = ClassTable.from_categories([{"id": 3, "name": "cat", "isthing": 1}, {"id": 5, "name": "sky", "isthing": 0}])
SIZE = (6, 8)
TRIANGLE = [1, 1, 7, 1, 1, 5]
SQUARE_RLE = {"counts": [8, 4, 2, 4, 30], "size": [6, 8]}
"""Columns 1 and 2, rows 2 to 5: 8 pixels."""


def black(path: Path) -> None:
    save_numbers(path, np.zeros(SIZE, dtype=np.int32))


def instances(
    folder: Path, annotations: list[Any], images: list[Any] | None = None, categories: Any = ({"id": 3, "name": "cat"},)
) -> InstanceSource:
    """Cats on black images."""
    black(folder / "images" / "a.png")
    images = [{"id": 1, "file_name": "a.png"}] if images is None else images
    content = {"images": images, "annotations": annotations, "categories": list(categories)}
    (folder / "i.json").write_text(json.dumps(content), encoding="utf-8-sig")
    return InstanceSource(
        *(folder / "i.json", folder / "images"),
        **{"semantic": None, "stuff": [], "background": None, "ignore": [], "overlap": "small", "unclaimed": "void"},  # type: ignore[arg-type]
        clip=False,
    )


def cat(id: int, segmentation: Any, image_id: Any = 1) -> dict[str, Any]:
    return {"id": id, "image_id": image_id, "category_id": 3, "segmentation": segmentation}


def areas(converted: Converted) -> list[int]:
    return [segment.area for segment in converted.panoptic.segments]


@pytest.mark.parametrize(
    "segmentation",
    [
        [TRIANGLE],
        TRIANGLE,
        [[1, 1], [7, 1], [1, 5]],
        [[[1, 1], [7, 1], [1, 5]]],
        [[{"x": 1, "y": 1}, {"x": 7, "y": 1}, {"x": 1, "y": 5}]],
        [{"x": 1, "y": 1}, {"x": 7, "y": 1}, {"x": 1, "y": 5}],
        [["1", "1", "7", "1", "1", "5"]],
        [[[1, 1]], [[7, 1]], [[1, 5]]],
        [[[[1, 1]], [[7, 1]], [[1, 5]]]],
        [TRIANGLE, TRIANGLE],
    ],
)
def test_an_outline_in_each_form_is_the_same_pixels(segmentation: Any, tmp_path: Path) -> None:
    [area] = areas(instances(tmp_path, [cat(1, segmentation)])[0])
    assert area == 12


@pytest.mark.parametrize(
    ("segmentation", "area"),
    [(SQUARE_RLE, 8), ([SQUARE_RLE], 8), ([SQUARE_RLE, SQUARE_RLE], 8), ([SQUARE_RLE, TRIANGLE], 8 + 12 - 5)],
)
def test_run_lengths_may_stand_in_a_list_and_beside_polygons(segmentation: Any, area: int, tmp_path: Path) -> None:
    assert areas(instances(tmp_path, [cat(1, segmentation)])[0]) == [area]


def run(source: Source, out: Path, faulty: Any) -> tuple[list[str], list[str]]:
    """Convert; returns what is left out and the sentences."""
    parts = parts_of(source, split="train", val_share=0.0, seed=0)
    [count] = convert(parts, out, faulty=faulty)
    return [*source.faults, *count.faults], sentences([count], parts, out)


def test_all_faults_are_counted_and_the_first_five_named(tmp_path: Path) -> None:
    leftovers = [cat(n, [] if n % 2 else [[8, 7, 8, 7]]) for n in range(2, 9)]
    source = instances(tmp_path, [cat(1, [TRIANGLE]), *leftovers])
    with pytest.raises(InputError, match=r"7 faults, the first 5:") as refused:
        run(source, tmp_path / "out", "stop")
    assert [f"annotation {n} (a.png)" in str(refused.value) for n in range(1, 9)] == [False] + 5 * [True] + 2 * [False]
    assert "--faulty skip" in str(refused.value)
    assert not list(tmp_path.rglob("panoptic*.json"))
    faults, messages = run(source, tmp_path / "out", "skip")
    assert len(faults) == 7
    assert messages[0].startswith("Left out: 7 faults, the first 5:\n")


def test_files_that_are_there_are_neither_replaced_nor_removed(tmp_path: Path) -> None:
    sound, damaged = instances(tmp_path / "1", [cat(1, [TRIANGLE])]), instances(tmp_path / "2", [cat(1, [])])
    theirs = tmp_path / "out" / "annotations" / "panoptic_train" / "a.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    for source in (sound, damaged):
        with pytest.raises(InputError, match=r"panoptic_train holds files already; name another --out"):
            run(source, tmp_path / "out", "stop")
    assert theirs.read_text() == "theirs"
    theirs.unlink()
    with pytest.raises(InputError, match=r"nothing is converted"):
        run(damaged, tmp_path / "out", "stop")
    assert not list((tmp_path / "out" / "annotations").iterdir())
    run(sound, tmp_path / "out", "stop")
    assert theirs.is_file()


def test_a_leftover_beside_a_sound_polygon_is_left_out_alone(tmp_path: Path) -> None:
    converted = instances(tmp_path, [cat(1, [TRIANGLE, [8, 7, 8, 7]])])[0]
    assert areas(converted) == [12]
    [fault] = converted.faults
    assert "annotation 1 (a.png), part 2 of 2: a polygon of 4 numbers" in fault


def test_annotations_without_an_id_are_called_by_their_place(tmp_path: Path) -> None:
    entries = [cat(1, segmentation) for segmentation in ([TRIANGLE], SQUARE_RLE, [])]
    for entry in entries:
        del entry["id"]
    source = instances(tmp_path, entries)
    assert source.faults == []
    assert len(areas(source[0])) == 2
    assert "annotation 3 of the list (a.png): it has no segmentation" in source[0].faults[0]


def test_an_unused_category_of_the_same_name_is_left_out(tmp_path: Path) -> None:
    """Roboflow lists a super-category called like the class."""
    source = instances(tmp_path, [cat(1, [TRIANGLE])], categories=[{"id": 0, "name": "cat"}, {"id": 3, "name": "cat"}])
    assert [info.dataset_id for info in source.classes.classes] == [3]
    _, messages = run(source, tmp_path / "out", "stop")
    assert "The category 0 is left out: no annotation has it, and 3 is 'cat' too." in messages


@pytest.mark.parametrize("order", [1, -1])
def test_a_class_that_a_split_lacks_has_the_id_of_other_splits(order: int, tmp_path: Path) -> None:
    categories = [{"id": 0, "name": "cat", "supercategory": "none"}, {"id": 3, "name": "cat", "supercategory": "cat"}][::order]
    for annotations in ([], [cat(1, [TRIANGLE])]):
        source = instances(tmp_path, annotations, categories=categories)
        assert [info.dataset_id for info in source.classes.classes] == [3]
    source = instances(tmp_path, [], categories=[{"id": 0, "name": "cat"}, {"id": 3, "name": "cat"}])
    assert [info.dataset_id for info in source.classes.classes] == [3], "a super-category comes first"


def test_a_pixel_in_the_corner_is_no_share(tmp_path: Path) -> None:
    assert areas(instances(tmp_path, [cat(1, [[0, 0, 1, 0, 1, 1, 0, 1]])])[0]) == [1]


def test_why_segments_vanish_is_said_without_an_option_that_was_not_given(tmp_path: Path) -> None:
    source = instances(tmp_path, [cat(1, [TRIANGLE]), cat(2, [TRIANGLE])])
    why = "Vanished, because others cover them or they hold no pixel's centre"
    assert f"{why}: a.png: annotation 1." in run(source, tmp_path / "whole", "stop")[1]
    source.clip = True
    assert f"{why}, or --clip cut them away: a.png: annotation 1." in run(source, tmp_path / "clipped", "stop")[1]


def test_a_class_of_crowds_alone_is_named(tmp_path: Path) -> None:
    crowds = [cat(n, [TRIANGLE]) | {"iscrowd": 1} for n in (1, 2)]
    _, messages = run(instances(tmp_path, [*crowds, cat(3, [SQUARE_RLE])]), tmp_path / "mixed", "stop")
    assert not any(message.startswith("No instance") for message in messages)
    _, messages = run(instances(tmp_path, crowds[:1]), tmp_path / "crowds", "stop")
    assert messages[0].startswith("No instance of cat (1 crowd) will be learnt: every segment is a crowd")


@pytest.mark.parametrize(("split", "said"), [("train", True), ("val", False)])
def test_crowds_are_told_of_what_is_learnt_from(split: str, said: bool, tmp_path: Path) -> None:
    """An instance of the other part makes nothing of it good, and its crowds no fault."""
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    black(tmp_path / "images" / "b.png")
    source = instances(tmp_path, [cat(1, [TRIANGLE]) | {"iscrowd": 1}, cat(2, [TRIANGLE], 2)], images)
    learnt, held_out = ([0], [1]) if split == "train" else ([1], [0])
    parts = [Part("train", source, learnt), Part("val", source, held_out)]
    messages = sentences(convert(parts, tmp_path / "out", faulty="stop"), parts, tmp_path / "out")
    assert any(message.startswith("No instance of cat") for message in messages) == said
    parts = [Part(split, source, [0])]
    messages = sentences(convert(parts, tmp_path / "alone", faulty="stop"), parts, tmp_path / "alone")
    assert any(message.startswith("No instance of cat") for message in messages) == said


def test_entries_that_cannot_be_used_are_each_named_once(tmp_path: Path) -> None:
    """An image that is left out takes its annotations with it, which are not faults of their own."""
    images = [
        {"id": 1, "file_name": "a.png"},
        {"id": 2, "file_name": "/abs/a.png"},
        {"id": 3},
        {"id": 4, "file_name": "b.png"},
        {"id": 4, "file_name": "c.png"},
        {"id": 1.5, "file_name": "d.png"},
    ]
    entries = [cat(1, [TRIANGLE]), *(cat(10 + n, [TRIANGLE], n) for n in (2, 3, 4, 9)), cat(1, SQUARE_RLE) | {"id": "1"}]
    entries += [cat(20, [TRIANGLE]) | {"category_id": "cat"}, "nonsense", cat(22, [TRIANGLE], None)]
    source = instances(tmp_path, entries, images)
    starts = ["image 2: the file name '/abs/a.png' leads out", "entry 3 of images: at file_name: Field required"]
    starts += ["images: the id 4 stands more than once (b.png and c.png)"]
    starts += [
        "entry 6 of images: at id: expected a whole number or a text, but it is 1.5. Mend",
        "annotation 19: its image_id 9 is no image",
    ]
    starts += ["annotation 1 (a.png): its id stands before, too (a.png)", "annotation 20 (a.png): at category_id"]
    starts += ["entry 8 of annotations: at the entry"]
    starts += ["annotation 22: at image_id: expected a whole number or a text, but it is null. Mend"]
    messages = [fault.removeprefix(f"{tmp_path / 'i.json'}, ") for fault in source.faults]
    assert [fault.startswith(start) for fault, start in zip(messages, starts, strict=True)] == [True] * 9
    assert source.file_names == ["a.png"]
    assert areas(source[0]) == [12]


@pytest.mark.parametrize(
    ("listed", "used", "message"), [(1, "1", "text in 2 .*'1'.* but numbers"), ("1", 1, "numbers in 2 .* but text")]
)
def test_text_against_numbers_is_named_as_that(listed: Any, used: Any, message: str, tmp_path: Path) -> None:
    images = [{"id": listed, "file_name": "a.png"}]
    with pytest.raises(InputError, match=message) as refused:
        instances(tmp_path, [cat(1, [TRIANGLE], used), cat(2, [TRIANGLE], used)], images)
    assert "remove" not in str(refused.value)
    with pytest.raises(InputError, match=message):
        instances(
            tmp_path, [cat(1, [TRIANGLE], used), cat(2, [TRIANGLE], used)], [*images, {"id": used * 2, "file_name": "b.png"}]
        )


def test_a_panoptic_json_needs_no_conversion(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is a panoptic JSON, which training reads as it is"):
        instances(tmp_path, [{"image_id": 1, "file_name": "a.png", "segments_info": []}])


def test_an_instance_json_is_told_by_what_it_is(tmp_path: Path) -> None:
    instances(tmp_path, [cat(1, [TRIANGLE])])
    path, images, message = tmp_path / "i.json", tmp_path / "images", "is an instance JSON.*unipan convert instances .*i.json"
    with pytest.raises(InputError, match=message):
        find_splits([path], images=[images], masks=[], names=[])
    with pytest.raises(InputError, match=message):
        json_set(path, images, None, merge="none")
    with pytest.raises(InputError, match=message):
        json_set(path, images, images, merge="none")


def test_images_of_the_json_are_found_as_training_finds_them(tmp_path: Path) -> None:
    black(tmp_path / "images" / "day" / "b.PNG")
    black(tmp_path / "images" / "c.png")
    source = instances(tmp_path, [], [{"id": n, "file_name": name} for n, name in enumerate(("b.PNG", "c.jpg", "gone.png"))])
    assert source[0].file_name == "day/b.PNG"
    with pytest.raises(InputError, match=r"no image c\.jpg .* but c\.png is there; write its name as it is"):
        source[1]
    with pytest.raises(InputError, match=r"no image gone\.png"):
        source[2]
    with pytest.raises(InputError, match=r"none of the 1 images .* no image c\.jpg .* but c\.png is there"):
        instances(tmp_path, [], [{"id": 1, "file_name": "c.jpg"}])


def test_one_image_under_two_ids_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png \(image 1\) and a\.png \(image 7\) are of one file, a\.png; put their"):
        instances(tmp_path, [], [{"id": n, "file_name": name} for n, name in ((1, "a.png"), (7, "./a.png"))])


def labelme(folder: Path, name: str, *shapes: dict[str, Any], **fields: Any) -> None:
    black((folder / name).with_suffix(".png"))
    image = f"C:\\work\\{Path(name).stem}.png"
    (folder / name).write_text(json.dumps(json.loads(labelme_json(SIZE, image, list(shapes))) | fields))


CAT = {"label": "cat", "points": [[1, 1], [7, 1], [1, 5]]}


def labelme_source(folder: Path) -> LabelmeSource:
    return LabelmeSource(read_labelme(folder), folder, classes=CLASSES, ignore=[], background=None, clip=False)


def test_stray_points_and_lines_are_left_out_when_asked(tmp_path: Path) -> None:
    stray = {"label": "cat", "points": [[1, 1]], "shape_type": "point"}
    line = {"label": "cat", "points": [[1, 1], [2, 2]], "shape_type": "line"}
    labelme(tmp_path, "1.json", stray, CAT, line, {"label": "cat"})
    (tmp_path / "notes.json").write_text("[]")
    source = labelme_source(tmp_path)
    with pytest.raises(InputError, match=r"4 faults:\n.*notes\.json is not a labelme JSON"):
        run(source, tmp_path / "out", "stop")
    faults, _ = run(source, tmp_path / "out", "skip")
    assert [fault.partition(": ")[2][:20] for fault in faults[1:]] == [
        "shape 1 (cat): it is",
        "shape 3 (cat): it is",
        "shape 4: it is no sh",
    ]
    assert areas(source[0]) == [12]


def test_labelme_is_read_at_all_levels_without_sizes_and_dotfiles(tmp_path: Path) -> None:
    for name in ("day1/am/1.json", "day2/1.JSON"):
        labelme(tmp_path, name, CAT, imageHeight=None, imageWidth=None)
    (tmp_path / "day2" / "._1.json").write_bytes(b"left by a system")
    source = labelme_source(tmp_path)
    assert source.faults == []
    assert [source[index].image_id for index in range(2)] == ["am/1", "day2/1"]
    assert [areas(source[index]) for index in range(2)] == [[12], [12]]
    labelme(tmp_path, "day2/0:02.json", CAT)
    labelme(tmp_path, "day2/000139.json", CAT)
    source = labelme_source(tmp_path)
    assert source.file_names[1:3] == ["day2/000139.png", "day2/0:02.png"]
    assert source[1].image_id == 139, "as predict calls it"
    black(tmp_path / "day3/000139.png")
    assert labelme_source(tmp_path)[1].image_id == "day2/000139", "and with an image that has no labels"
    black(tmp_path / "day3/000139.jpg")
    assert labelme_source(tmp_path)[1].image_id == 139, "predict refuses the folder as it is"
    labelme(tmp_path, "day2/1_copy.json", CAT, imagePath="1.png")
    with pytest.raises(InputError, match=r"day2/1\.JSON and .*day2/1_copy\.json are of one file, day2/1\.png"):
        labelme_source(tmp_path)


@pytest.mark.parametrize(
    ("json_path", "image_path", "expected"),
    [
        ("images/x.json", "cam2/a.png", "cam2/a.png"),
        ("images/cam1/x.json", "../cam2/a.png", "cam2/a.png"),
        ("labels/cam1/x.json", "../../images/cam2/a.png", "cam2/a.png"),
        ("labels/cam1/x.json", "../../elsewhere/cam2/a.png", "cam2/a.png"),
        ("labels/x.json", "..\\images\\cam1\\a.png", "cam1/a.png"),
        ("labels/x.json", "C:\\work\\cam2\\a.png", "cam2/a.png"),
        ("labels/cam1/x.json", "../cam2/a.png", "cam2/a.png"),
        ("labels/cam1/x.json", "../images/a.png", "cam1/a.png"),
        ("labels/x.json", "/old/images/a.png", "a.png"),
        ("labels/day/x.json", "cam1/a.png", "day/cam1/a.png"),
        ("labels/x.json", "../outside/b.png", "cam1/b.png"),
        ("labels/x.json", "cam2/b.png", "cam1/b.png"),
        ("images/x.json", "cam2/a.jpg", "cam2/a.jpg"),
    ],
)
def test_the_image_is_the_one_that_image_path_names(json_path: str, image_path: str, expected: str, tmp_path: Path) -> None:
    """Where labelme itself would open it, and with moved data by as much of its path as is there; no file outside the images."""
    for name in ("a.png", "cam1/a.png", "cam1/b.png", "cam2/a.png", "day/cam1/a.png", "../outside/b.png", "sound.png"):
        black(tmp_path / "images" / name)
    path = tmp_path / json_path
    path.parent.mkdir(parents=True, exist_ok=True)
    for place, image in ((path, image_path), (path.with_name("y.json"), "sound.png")):
        place.write_text(json.dumps(json.loads(labelme_json(SIZE, "", [CAT])) | {"imagePath": image}))
    labels = read_labelme(tmp_path / Path(json_path).parts[0])
    source = LabelmeSource(labels, tmp_path / "images", classes=CLASSES, ignore=[], background=None, clip=False)
    assert source.file_names[0] == expected


@pytest.mark.parametrize("image_path", [None, ""])
def test_without_image_path_the_image_is_called_like_the_json(image_path: str | None, tmp_path: Path) -> None:
    black(tmp_path / "images" / "day" / "a.1.png")
    black(tmp_path / "images" / "b.png")
    for name in ("day/a.1", "night/b"):
        path = tmp_path / "labels" / f"{name}.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(json.loads(labelme_json(SIZE, "", [CAT])) | {"imagePath": image_path}))
    source = LabelmeSource(
        read_labelme(tmp_path / "labels"), tmp_path / "images", classes=CLASSES, ignore=[], background=None, clip=False
    )
    assert source.file_names == ["day/a.1.png", "b.png"]


def test_an_empty_group_is_none_and_a_size_of_0_unknown(tmp_path: Path) -> None:
    other = {"label": "cat", "points": [[1, 5], [7, 5], [7, 6], [1, 6]]}
    labelme(tmp_path, "1.json", *(shape | {"group_id": ""} for shape in (CAT, other)), imageHeight=0, imageWidth=0)
    assert areas(labelme_source(tmp_path)[0]) == [12, 6]


def test_a_group_is_one_however_its_number_is_written(tmp_path: Path) -> None:
    other = {"label": "cat", "points": [[1, 5], [7, 5], [7, 6], [1, 6]]}
    labelme(tmp_path, "1.json", CAT | {"group_id": 1}, other | {"group_id": "1"})
    labelme(tmp_path, "2.json", CAT | {"group_id": "a"}, other | {"group_id": "a"})
    labelme(tmp_path, "3.json", CAT | {"group_id": "01"}, other | {"group_id": 1})
    labelme(tmp_path, "4.json", CAT | {"group_id": "-1"}, other | {"group_id": -1})
    assert [areas(labelme_source(tmp_path)[index]) for index in range(4)] == [[18], [18], [12, 6], [18]]


@pytest.mark.parametrize(
    ("value", "is_crowd"), [(1, True), ("true", True), (True, True), (0, False), ("false", False), (None, False)]
)
def test_the_flag_of_a_crowd_is_read_as_other_flags_are(value: object, is_crowd: bool, tmp_path: Path) -> None:
    labelme(tmp_path, "1.json", CAT | {"flags": {"is_crowd": value}})
    (segment,) = labelme_source(tmp_path)[0].panoptic.segments
    assert segment.is_crowd is is_crowd


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"flags": {"is_crowd": "perhaps"}}, "shape 1 (cat): its flag is_crowd is 'perhaps'; expected true or false."),
        (
            {"points": [[0.1, 0.1], [0.9, 0.1], [1, 1]]},
            "all coordinates of its polygons lie within 0 and 1; pixels are expected.",
        ),
    ],
)
def test_what_labelme_shapes_cannot_mean_is_refused(change: dict[str, Any], fault: str, tmp_path: Path) -> None:
    labelme(tmp_path, "1.json", CAT | change)
    with pytest.raises(InputError, match=re.escape(fault)):
        run(labelme_source(tmp_path), tmp_path / "out", "stop")


@pytest.mark.parametrize(
    "shape",
    [
        {"points": [{"x": x, "y": y} for x, y in CAT["points"]]},  # type: ignore[misc]
        {"shape_type": "rotation"},
    ],
)
def test_shapes_of_other_tools_are_read(shape: dict[str, Any], tmp_path: Path) -> None:
    labelme(tmp_path, "1.json", CAT | shape)
    assert areas(labelme_source(tmp_path)[0]) == [12]


def test_the_classes_that_were_written_are_named(tmp_path: Path) -> None:
    labelme(tmp_path, "1.json", CAT)
    _, messages = run(labelme_source(tmp_path), tmp_path / "out", "stop")
    assert "Classes: things: cat; stuff: sky." in messages


def test_pairs_are_read_at_all_levels_and_lone_maps_left_out(tmp_path: Path) -> None:
    sky = np.full(SIZE, 5)
    folders = [tmp_path / name for name in ("semantic", "instances", "images")]
    for folder in folders:
        save_numbers(folder / "day" / "1.PNG", sky)
        save_numbers(folder / "0:02.png", sky)
        save_numbers(folder / "day" / "000139.png", sky)
        (folder / "._0:02.png").write_bytes(b"left by a system")
    save_numbers(folders[0] / "lone.png", sky)
    save_numbers(folders[0] / "day" / "1.PNG", np.full(SIZE, 9))
    source = PairSource(*folders, classes=CLASSES, ignore=[], unclaimed="crowd")
    assert source.file_names == ["0:02.png", "day/000139.png", "day/1.PNG"]
    assert [source[index].image_id for index in range(2)] == ["0:02", 139], "as predict calls them"
    faults, _ = run(source, tmp_path / "out", "skip")
    assert [Path(fault.split()[0]).name for fault in faults] == ["lone.png", "lone.png", "1.PNG"]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == ["000139.png", "0:02.png"]


def test_pairs_meet_in_either_unicode_form(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("semantic", "instances", "images")]
    for folder, name in zip(folders, ("\u00fc.png", "u\u0308.png", "u\u0308.png"), strict=True):
        save_numbers(folder / name, np.full(SIZE, 5))
    source = PairSource(*folders, classes=CLASSES, ignore=[], unclaimed="crowd")
    assert (source.file_names, source.faults) == (["u\u0308.png"], [])
    save_numbers(folders[1] / "\u00fc.png", np.full(SIZE, 5))
    with pytest.raises(InputError, match=r"u\\u0308\.png' and .*\u00fc\.png would both become \u00fc\.png"):
        PairSource(*folders, classes=CLASSES, ignore=[], unclaimed="crowd")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
@pytest.mark.parametrize("val_share", [0.0, 0.5])
def test_an_image_whose_name_is_no_utf8_is_left_out_alone(val_share: float, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.png")
    folders = [tmp_path / name for name in ("semantic", "instances", "images")]
    for folder, name in product(folders, ("a.png", "b.png", "c.png", "d.png", odd)):
        save_numbers(folder / name, np.full(SIZE, 5))
    source = PairSource(*folders, classes=CLASSES, ignore=[], unclaimed="crowd")
    parts = parts_of(source, split="train", val_share=val_share, seed=0)
    counts = convert(parts, tmp_path / "out", faulty="skip")
    assert [fault for count in counts for fault in count.faults] == [
        r"nothing can be named after the image caf\udce9.png: its name is no UTF-8; rename the file."
    ]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == ["a.png", "b.png", "c.png", "d.png"]


def test_frames_of_cityscapes_without_a_partner_are_left_out_when_asked(tmp_path: Path) -> None:
    root = write_download(tmp_path / "root", "val")
    next((root / "gtFine").rglob("bochum*_instanceIds.png")).unlink()
    source = CityscapesSource(root, "val")
    with pytest.raises(InputError, match=r"gtFine/val lacks 1 of the 2 files"):
        run(source, tmp_path / "out", "stop")
    faults, _ = run(source, tmp_path / "out", "skip")
    assert len(faults) == 1
    assert [path.name for path in (tmp_path / "out").rglob("*.png")] == ["aachen_000001_000019_leftImg8bit.png"]


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"cut off")
    source = instances(tmp_path, [], [{"id": 1, "file_name": "a.jpg"}])
    with pytest.raises(InputError, match=r"no image is left for train: cannot read the image .*a\.jpg"):
        run(source, tmp_path / "out", "skip")
