"""Mistakes that people make with what they convert: a sentence that names the file and says what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_forms import labelme_json, save_numbers
from PIL import Image
from raw_png import GRAY, write_png

from unipan.classes import ClassTable
from unipan.errors import InputError, noted
from unipan.tools.convert.cityscapes import splits_with_truth
from unipan.tools.convert.instances import InstanceSource
from unipan.tools.convert.label_maps import read_label_map
from unipan.tools.convert.labelme import LabelmeSource, classes_of_labels, read_labelme
from unipan.tools.convert.pairs import PairSource
from unipan.tools.convert.source import Source, check_size, read_categories, safe_name

CLASSES = ClassTable.from_categories([{"id": 3, "name": "cat", "isthing": 1}, {"id": 5, "name": "sky", "isthing": 0}])
ONE_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
TRIANGLE = [[1, 1, 5, 1, 1, 5]]
Change = Callable[[dict[str, Any]], object]


def convert_instances(folder: Path, change: Change, **options: Any) -> None:
    """Convert a sound data set of one image after a change to its JSON."""
    save_numbers(folder / "images" / "a.png", np.zeros((6, 8), dtype=np.int32))
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 6, "width": 8}],
        "annotations": [{"id": 9, "image_id": 1, "category_id": 3, "segmentation": TRIANGLE}],
        "categories": [{"id": 3, "name": "cat"}],
    }
    change(content)
    (folder / "i.json").write_text(json.dumps(content))
    defaults = {"semantic": None, "stuff": [], "background": None, "ignore": [255], "overlap": "small", "unclaimed": "void"}
    source = InstanceSource(folder / "i.json", folder / "images", **{"clip": False} | defaults | options)  # type: ignore[arg-type]
    complain(source)


def complain(source: Source) -> None:
    """Raise the first fault of a source and its images."""
    faults = list(source.faults)
    for index in range(len(source.file_names)):
        with noted(faults):
            faults += source[index].faults
    if faults:
        raise InputError(faults[0])


def test_the_sound_set_is_converted(tmp_path: Path) -> None:
    convert_instances(tmp_path, lambda content: None)


def segmentation(value: object) -> Change:
    return lambda content: content["annotations"][0].update(segmentation=value)


def image(**fields: object) -> Change:
    return lambda content: content["images"][0].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (segmentation([[1, 1, 5, 1]]), r"i\.json, annotation 9 \(a\.png\): a polygon of 4 numbers .* at least 3 points"),
        (segmentation([[1, 1, 5, 1, 1, 5, 2]]), "a polygon of 7 numbers"),
        (segmentation([[1, 1, 50, 1, 1, 5]]), r"annotation 9 .*\(50, 1\) lies outside the image of 8x6.*--clip"),
        (segmentation([]), "annotation 9 .* has no segmentation"),
        (segmentation(None), "annotation 9 .* has no segmentation"),
        (segmentation({"counts": [40], "size": [6, 8]}), "annotation 9 .* add up to 40 pixels"),
        (segmentation({"counts": [48], "size": [8, 6]}), "its mask is 6x8 .* its image 8x6"),
        (segmentation("polygon"), r"annotation 9 \(a\.png\): 'polygon' is no segmentation; expected polygons .* or an RLE"),
        (segmentation([[0.1, 0.1, 0.9, 0.1, 1, 1]]), r"i\.json: all coordinates .* within 0 and 1; pixels are expected"),
        (segmentation([["0.1", "0.1", "0.9", "0.1", "1", "1"]]), r"i\.json: all coordinates .* within 0 and 1"),
        (lambda c: c.pop("categories"), "at categories: Field required"),
        (
            lambda c: c["annotations"].append(c["annotations"][0]),
            r"annotation 9 \(a\.png\): its id stands before, too \(a\.png\)",
        ),
        (lambda c: c["images"].append(c["images"][0]), r"images: the id 1 stands more than once \(a\.png and a\.png\)"),
        (lambda c: c["annotations"][0].update(image_id=4), r"annotation 9: its image_id 4 is no image that the file lists"),
        (
            lambda c: c["annotations"][0].update(category_id=4),
            r"annotation 9 \(a\.png\): its category 4 is none that the file lists",
        ),
        (lambda c: c["categories"].append({"name": "dog"}), "lacks id or name"),
        (lambda c: c.update(images=[], annotations=[]), "it lists no images"),
        (image(file_name="gone.png"), r"there is no image .*gone\.png"),
        (image(file_name="../a.png"), r"'\.\./a\.png' leads out"),
        (image(file_name="/etc/a.png"), "leads out"),
        (image(file_name="C:\\a.png"), "leads out"),
        (image(height=7), r"a\.png is 8x6 .* but its entry in .*i\.json is 8x7"),
    ],
)
def test_instance_json(change: Change, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as refused:
        convert_instances(tmp_path, change)
    assert str(refused.value).endswith(".")


def test_shapes_beyond_the_border_are_cut_when_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"annotation 9 .* is no number below"):
        convert_instances(tmp_path, segmentation([[1, 1, float("nan"), 1, 1, 5]]), clip=True)
    convert_instances(tmp_path, segmentation([[1, 1, 50, 1, 1, 5]]), clip=True)


def test_what_contradicts_itself(tmp_path: Path) -> None:
    nothing: Change = lambda content: None  # noqa: E731
    with pytest.raises(InputError, match="the id 3 is 'cat' in the categories but 'sky' in --stuff"):
        convert_instances(tmp_path, nothing, stuff=[{"id": 3, "name": "sky"}])
    with pytest.raises(InputError, match=r"^'cat' has the id 4 in --stuff but 3 in the categories"):
        convert_instances(tmp_path, nothing, stuff=[{"id": 4, "name": "cat"}])
    with pytest.raises(InputError, match=r"^--stuff: .*_id 4 stands more than once"):
        convert_instances(tmp_path, nothing, stuff=[{"id": 4, "name": "sky"}, {"id": 4, "name": "sea"}])
    with pytest.raises(InputError, match=r"^--background cat is the name of another class"):
        convert_instances(tmp_path, nothing, background="cat")
    with pytest.raises(InputError, match=r"^the JSON lists no categories"):
        convert_instances(tmp_path, lambda content: content.update(categories=[], annotations=[]))
    with pytest.raises(InputError, match="--semantic and --background"):
        convert_instances(tmp_path, nothing, semantic=tmp_path, background="sky")
    with pytest.raises(InputError, match="3 is both a class and a number to ignore"):
        convert_instances(tmp_path, nothing, semantic=tmp_path, ignore=[3])
    with pytest.raises(InputError, match="there is no folder nowhere"):
        convert_instances(tmp_path, nothing, semantic=Path("nowhere"))


def _two_cats(content: dict[str, Any]) -> None:
    content["categories"].append({"id": 4, "name": "cat"})
    content["annotations"].append(content["annotations"][0] | {"id": 10, "category_id": 4})


def test_two_used_categories_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"i\.json: the categories 3 and 4 are both called 'cat', and annotations have both"):
        convert_instances(tmp_path, _two_cats)


def pairs(folder: Path, semantic: np.ndarray, instances: np.ndarray | None = None) -> PairSource:
    save_numbers(folder / "images" / "a.jpg", np.zeros((2, 3), dtype=np.int32))
    save_numbers(folder / "semantic" / "a.png", semantic)
    save_numbers(folder / "instances" / "a.png", np.zeros((2, 3)) if instances is None else instances)
    folders = (folder / name for name in ("semantic", "instances", "images"))
    return PairSource(*folders, classes=CLASSES, ignore=[255], unclaimed="crowd")


SKY = np.full((2, 3), 5)


def test_maps_of_numbers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"semantic/a\.png holds the numbers 0, 8, which are no class; .*--ignore 0 255"):
        pairs(tmp_path, np.array([[8, 5, 5], [0, 5, 255]]))[0]
    with pytest.raises(InputError, match=r"instances/a\.png is 3x4 .* but .*semantic/a\.png is 3x2"):
        pairs(tmp_path, SKY, np.zeros((4, 3)))[0]
    with pytest.raises(InputError, match=r"images/a\.jpg is 3x2 .* but .*semantic/a\.png is 3x4"):
        pairs(tmp_path, np.full((4, 3), 5), np.zeros((4, 3)))[0]
    source = pairs(tmp_path, SKY)
    Image.new("RGB", (3, 2)).save(tmp_path / "semantic" / "a.png")
    with pytest.raises(InputError, match=r"semantic/a\.png is a PNG file of mode RGB; .* not colors"):
        source[0]
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(SKY.astype(np.uint8)).save(tmp_path / "semantic" / "a.png", exif=turned)
    with pytest.raises(InputError, match=r"semantic/a\.png has an EXIF tag that turns it, .*; save it upright"):
        source[0]
    (tmp_path / "semantic" / "a.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(InputError, match=r"cannot read .*semantic/a\.png"):
        source[0]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_numbers_of_few_bits_are_those_in_the_file(depth: int, tmp_path: Path) -> None:
    """Pillow stretches gray of 2 and 4 bits to 0..255."""
    numbers = np.arange(8) % 2**depth
    bits = "".join(f"{number:0{depth}b}" for number in numbers)
    row = int(bits, 2).to_bytes(depth, "big")
    path = write_png(tmp_path / "a.png", width=8, depth=depth, color=GRAY, row=row)
    assert read_label_map(path)[0].tolist() == numbers.tolist()


def test_files_that_have_no_partner(tmp_path: Path) -> None:
    pairs(tmp_path, SKY)
    save_numbers(tmp_path / "semantic" / "b.png", SKY)
    with pytest.raises(InputError, match=r"semantic/b\.png has no partner in .*instances"):
        complain(pairs(tmp_path, SKY))
    save_numbers(tmp_path / "instances" / "b.png", SKY)
    with pytest.raises(InputError, match=r"semantic/b\.png has no partner in .*images"):
        complain(pairs(tmp_path, SKY))
    save_numbers(tmp_path / "images" / "B.jpg", SKY)
    with pytest.raises(InputError, match=r"semantic/b\.png has no partner in .*images, but B\.jpg is there; write both"):
        complain(pairs(tmp_path, SKY))
    for name in ("a", "b"):
        (tmp_path / "semantic" / f"{name}.png").rename(tmp_path / "semantic" / f"{name}_labels.png")
    folders = [tmp_path / name for name in ("semantic", "instances", "images")]
    with pytest.raises(InputError, match=r"no file name stands in all of .*semantic \(first a_labels\)"):
        PairSource(*folders, classes=CLASSES, ignore=[255], unclaimed="crowd")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="empty holds no PNG file"):
        PairSource(empty, folders[1], folders[2], classes=CLASSES, ignore=[255], unclaimed="crowd")
    with pytest.raises(InputError, match="empty holds no image"):
        PairSource(folders[0], folders[1], empty, classes=CLASSES, ignore=[255], unclaimed="crowd")
    save_numbers(folders[2] / "a.png", SKY)
    with pytest.raises(InputError, match=r"a\.jpg and .*a\.png would both become a\.png"):
        PairSource(*folders, classes=CLASSES, ignore=[255], unclaimed="crowd")


def labelme(folder: Path, shape: dict[str, Any], **options: Any) -> None:
    save_numbers(folder / "a.png", np.zeros((6, 8), dtype=np.int32))
    (folder / "a.json").write_text(labelme_json((6, 8), "a.png", [shape]))
    defaults = {"classes": CLASSES, "ignore": [], "background": None, "clip": False}
    complain(LabelmeSource(read_labelme(folder), folder, **defaults | options))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            {"label": "cow", "points": [[1, 1], [5, 1], [1, 5]]},
            r"a\.json: shape 1 \(cow\): the label 'cow' is no class; there are cat, sky",
        ),
        ({"label": " ", "points": [[1, 1], [5, 1], [1, 5]]}, r"a\.json: shape 1 \( \): its label is empty\. Write one"),
        ({"label": "cat", "points": [[1, 1], [5, 1]]}, r"a\.json: shape 1 \(cat\): a polygon of 2 points"),
        ({"label": "cat", "points": [[1, 1]], "shape_type": "circle"}, "a circle of 1 points"),
        ({"label": "cat", "points": [[1, 1], [2, 2]], "shape_type": "line"}, "it is a line, which has no inside"),
        ({"label": "cat", "points": [[1, 1], [2, 2]], "shape_type": "cuboid"}, "shapes of the kind cuboid are not read here"),
        ({"label": "cat", "points": [[1, 1], [2, 2]], "shape_type": "mask"}, "a mask has two points and an image"),
        (
            {"label": "cat", "points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "bm8="},
            r"shape 1 \(cat\): its mask can't be read as a PNG",
        ),
        (
            {"label": "cat", "points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "?"},
            "its mask can't be read as a PNG in base64",
        ),
        (
            {"label": "cat", "points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": ONE_PIXEL},
            "its mask is 1x1 .* the box between its points 2x2",
        ),
        ({"label": "cat", "points": [[1, 1], [5, -9], [1, 5]]}, r"shape 1 \(cat\): the point \(5, -9\) lies outside"),
        ({"label": "cat", "points": [[1, 1], [5], [1, 5]]}, r"a\.json: shape 1: it is no shape: at points\.1"),
        ({"label": "cat", "points": [[1, 1, 0]] * 3}, r"at points\.0: a point is \[x, y\], and this one has 3 numbers"),
    ],
)
def test_labelme_shapes(shape: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as refused:
        labelme(tmp_path, shape)
    assert str(refused.value).endswith(".")


def test_labels_and_classes(tmp_path: Path) -> None:
    cat = {"label": "cat", "points": [[1, 1], [5, 1], [1, 5]]}
    with pytest.raises(InputError, match="--background ground is no class"):
        labelme(tmp_path, cat, background="ground")
    options = {"ignore": [], "background": None}
    with pytest.raises(InputError, match=r"no shape in .* is labelled carr; the labels are cat"):
        classes_of_labels(read_labelme(tmp_path), classes=None, things=["carr"], **options)
    for things, background in ((["cat"], None), (["dog"], "cat")):
        with pytest.raises(InputError, match=r"cat came as a class and after --ignore"):
            classes_of_labels(read_labelme(tmp_path), classes=None, things=things, ignore=["cat"], background=background)
    table = tmp_path / "classes" / "table.json"
    table.parent.mkdir()
    table.write_text('[{"id": 1, "name": "cat", "isthing": 1}]')
    with pytest.raises(InputError, match=r"cat came as a class and after --ignore"):
        classes_of_labels(read_labelme(tmp_path), classes=table, things=[], ignore=["cat"], background=None)
    with pytest.raises(InputError, match=r"--things LABEL .* or --classes"):
        classes_of_labels(read_labelme(tmp_path), classes=None, things=[], **options)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="empty holds no JSON file"):
        read_labelme(empty)
    (tmp_path / "classes.json").write_text('{"categories": []}')
    with pytest.raises(InputError, match=r"classes\.json is not a JSON list of classes"):
        read_categories(tmp_path / "classes.json")


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (["cat ", "cat"], "'cat' and 'cat '"),
        (["Cat", "cat"], "'Cat' and 'cat'"),
        (["caf\u00e9", "cafe\u0301"], r"'cafe\\u0301' and 'caf\u00e9'"),
    ],
)
def test_labels_that_a_person_reads_as_one_are_named(labels: list[str], shown: str, tmp_path: Path) -> None:
    shapes = [{"label": label, "points": [[1, 1], [5, 1], [1, 5]]} for label in labels]
    (tmp_path / "a.json").write_text(labelme_json((6, 8), "a.png", shapes))
    content = read_labelme(tmp_path)
    options: dict[str, Any] = {"classes": None, "background": None}
    with pytest.raises(InputError, match=f"the labels {shown} differ only in case"):
        classes_of_labels(content, things=labels[:1], ignore=[], **options)
    with pytest.raises(InputError, match=r"If they are meant, list all classes with --classes, or"):  # stuff can't be named else
        classes_of_labels(content, things=labels[1:], ignore=[], **options)
    assert len(classes_of_labels(content, things=labels, ignore=[], **options)) == 2
    assert len(classes_of_labels(content, things=labels[:1], ignore=labels[1:], **options)) == 1


def test_labels_that_differ_in_a_letter_are_several(tmp_path: Path) -> None:
    shapes = [{"label": label, "points": [[1, 1], [5, 1], [1, 5]]} for label in ("Ma\u00dfe", "Masse")]
    (tmp_path / "a.json").write_text(labelme_json((6, 8), "a.png", shapes))
    options: dict[str, Any] = {"classes": None, "background": None, "ignore": []}
    assert len(classes_of_labels(read_labelme(tmp_path), things=["Masse"], **options)) == 2


def test_labels_of_malformed_shapes_are_labels(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(labelme_json((6, 8), "a.png", [{"label": "cat", "points": [[1, 1, 1]]}]))
    options: dict[str, Any] = {"classes": None, "background": None, "ignore": []}
    assert len(classes_of_labels(read_labelme(tmp_path), things=["cat"], **options)) == 1
    numbered = {"label": 1, "points": [[1, 1], [5, 1], [1, 5]]}
    (tmp_path / "a.json").write_text(labelme_json((6, 8), "a.png", [numbered]))
    with pytest.raises(InputError, match=r"is labelled 1; the labels are none\. 1 shape can't be read, first a\.json: at label"):
        classes_of_labels(read_labelme(tmp_path), things=["1"], **options)
    blank = {"label": "", "points": [[1, 1], [5, 1], [1, 5]]}
    (tmp_path / "a.json").write_text(labelme_json((6, 8), "a.png", [blank, {**blank, "label": "cat"}]))
    assert len(classes_of_labels(read_labelme(tmp_path), things=["cat"], **options)) == 1, "a blank is no label"
    (tmp_path / "a.json").write_text(labelme_json((6, 8), "a.png", []))
    with pytest.raises(InputError, match="is labelled cat; the labels are none"):
        classes_of_labels(read_labelme(tmp_path), things=["cat"], **options)


def test_a_cityscapes_root_without_splits(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has neither train nor val"):
        splits_with_truth(tmp_path)


@pytest.mark.parametrize("name", ["turned.jpg", "turned.tif"])
def test_images_are_measured_upright(name: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / name, exif=exif)
    check_size(tmp_path / name, (8, 6), "it")
    with pytest.raises(InputError, match="is 6x8"):
        check_size(tmp_path / name, (6, 8), "it")


def test_safe_names() -> None:
    assert safe_name("city\\a.png") == "city/a.png"
    for name in ("..", "a/../../b.png", "\\\\host\\a.png", "", "."):
        with pytest.raises(InputError, match="leads out"):
            safe_name(name)
