"""Each form, read by the package that it is for, gives every pixel back: holes, parts that touch at corners, void, crowds."""

import json
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from unipan.choices import Form
from unipan.classes import ClassTable
from unipan.cli import main
from unipan.data.coco_files import read_panoptic_file
from unipan.errors import InputError
from unipan.interchange import (
    Entry,
    from_transformers,
    label_studio,
    to_coco_instances,
    to_geojson,
    to_label_studio,
    to_labelme,
    to_supervision,
    to_transformers,
    write_panoptic,
)
from unipan.ops import outlines, segment_runs
from unipan.ops.segment_runs import runs_of_each
from unipan.ops.segments import Label, Runs, panoptic_map
from unipan.recipes.interchange import write_form
from unipan.types import PanopticMap

CLASSES = ClassTable.from_categories(
    [
        {"id": 90, "name": "sky & <sea>", "isthing": 0},
        {"id": 7, "name": "cat", "isthing": 1},
        {"id": 300, "name": "dog", "isthing": 1},
    ]
)


@pytest.fixture(scope="module")
def panoptic() -> PanopticMap:
    """Random parts of every shape; a ring with a thing inside; two pixels that touch at a corner; a run of 100,000 pixels.

    384 x 384: at another size transformers' post-processing would interpolate.
    """
    ids = np.random.default_rng(0).choice([0, 1, 500, 70000], (384, 384)).astype(np.int32)
    ids[:364] = 1
    ids[20:60, 20:60], ids[30:50, 30:50], ids[35:45, 35:45] = 500, 0, 9
    ids[364:374, 100], ids[374, 101] = 9, 9
    labels = [Label(1, 0), Label(500, 1, score=0.5625), Label(70000, 2, score=0.625), Label(9, 1, score=0.75)]
    return panoptic_map(torch.from_numpy(ids), labels, CLASSES)


@pytest.fixture(scope="module")
def empty() -> PanopticMap:
    return panoptic_map(torch.zeros(4, 6, dtype=torch.int32), [], CLASSES)


def assert_same_masks(found: dict[int, NDArray[np.bool_]], panoptic: PanopticMap) -> None:
    assert found.keys() == {segment.id for segment in panoptic}
    assert all(np.array_equal(found[segment.id], panoptic.mask(segment).numpy()) for segment in panoptic)


def test_transformers(panoptic: PanopticMap, empty: PanopticMap) -> None:
    """Its post-processing of what a network would have to give for this map, and ours, are one dictionary but for the ids."""
    mask2former = pytest.importorskip("transformers.models.mask2former", reason="transformers is not installed")
    chosen = torch.stack([panoptic.mask(segment) for segment in panoptic])
    labels = torch.tensor([segment.class_index for segment in panoptic])
    scores = torch.tensor([segment.score for segment in panoptic]).clamp(max=0.999)
    others = ((1 - scores) / len(CLASSES))[:, None].expand(-1, len(CLASSES) + 1).clone()
    others[torch.arange(len(labels)), labels] = scores
    outputs = mask2former.modeling_mask2former.Mask2FormerForUniversalSegmentationOutput(
        class_queries_logits=others.log()[None], masks_queries_logits=(chosen.float() * 100 - 50)[None]
    )
    processor = mask2former.Mask2FormerImageProcessor()
    size = panoptic.ids.shape
    [theirs] = processor.post_process_panoptic_segmentation(
        outputs, threshold=0.1, label_ids_to_fuse=set(CLASSES.stuff), target_sizes=[size]
    )
    ours = to_transformers(panoptic)
    for one, own in zip(theirs["segments_info"], ours["segments_info"], strict=True):
        assert one == own | {"id": one["id"], "score": pytest.approx(own["score"], abs=0.002)}
    read = from_transformers(theirs, CLASSES)
    covered = panoptic.ids > 0  # what no mask claims is theirs to give to any of them
    for one, segment in zip(read, panoptic, strict=True):
        assert one.class_index == segment.class_index
        assert torch.equal(read.mask(one) & covered, panoptic.mask(segment))
    for one in (panoptic, empty):
        again = from_transformers(to_transformers(one), CLASSES)
        assert torch.equal(again.ids, one.ids)
        assert again.segments == one.segments


def test_eomt_counts_its_segments_from_0_and_void_is_below() -> None:
    """As its own function says of two things at the left, and of nobody's pixels at the right."""
    eomt = pytest.importorskip("transformers.models.eomt.image_processing_eomt", reason="transformers has no EoMT")
    masks = torch.full((2, 4, 6), -9.0)
    masks[0, :2, :3] = masks[1, 2:, :3] = 9
    segmentation, info = eomt.compute_segments(
        masks, torch.tensor([0.75, 0.5]), torch.tensor([1, 2]), stuff_classes=[0], mask_threshold=0.5, target_size=(4, 6)
    )
    read = from_transformers({"segmentation": segmentation, "segments_info": info}, CLASSES)
    assert read.ids.tolist() == [[1, 1, 1, 0, 0, 0]] * 2 + [[2, 2, 2, 0, 0, 0]] * 2
    assert [(one.id, one.name, one.score, one.area) for one in read] == [(1, "cat", 0.75, 6), (2, "dog", 0.5, 6)]


def test_dictionaries_that_are_none_of_transformers_are_refused() -> None:
    with pytest.raises(InputError, match="no segmentation and no segments_info"):
        from_transformers({}, CLASSES)
    with pytest.raises(InputError, match="label id 3 is none of 3 classes"):
        from_transformers({"segmentation": torch.zeros(2, 2), "segments_info": [{"id": 1, "label_id": 3}]}, CLASSES)
    without = from_transformers({"segmentation": torch.full((2, 2), -1), "segments_info": []}, CLASSES)
    assert without.ids.tolist() == [[0, 0], [0, 0]]


@pytest.mark.filterwarnings("ignore:OpenCV")
def test_supervision(panoptic: PanopticMap, empty: PanopticMap) -> None:
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    found: Any = to_supervision(panoptic)
    assert_same_masks(dict(zip(found.data["segment_id"].tolist(), found.mask, strict=True)), panoptic)
    theirs: Any = supervision.Detections.from_transformers(
        to_transformers(panoptic), {index: info.name for index, info in enumerate(CLASSES.classes)}
    )
    for field in ("xyxy", "mask", "confidence", "class_id"):
        assert np.array_equal(getattr(found, field), getattr(theirs, field)), field
    assert found.data["class_name"].tolist() == theirs.data["class_name"].tolist()
    assert len(found[found.data["is_thing"]]) == 3
    assert len(to_supervision(empty)) == 0


def test_coco_panoptic(panoptic: PanopticMap, empty: PanopticMap, tmp_path: Path) -> None:
    """The PNG by COCO's own rule for ids, the JSON by its own list of segments."""
    entries = [Entry(139, "a.jpg", panoptic), Entry(140, "b.jpg", empty)]
    path = write_panoptic(tmp_path, entries, CLASSES, json_name="panoptic.json", png_folder="panoptic", scores=True)
    content = json.loads(path.read_text())
    pixels = np.asarray(Image.open(tmp_path / "panoptic" / "a.png"), dtype=np.int64)
    ids = pixels[..., 0] + 256 * pixels[..., 1] + 256**2 * pixels[..., 2]
    assert_same_masks({one["id"]: ids == one["id"] for one in content["annotations"][0]["segments_info"]}, panoptic)
    assert [one["image_id"] for one in content["annotations"]] == [139, 140]
    read = read_panoptic_file(path)
    assert torch.equal(read.map(0).ids, panoptic.ids)
    assert read.map(1).segments == ()


def test_coco_instances(panoptic: PanopticMap, empty: PanopticMap, tmp_path: Path) -> None:
    pycocotools = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(to_coco_instances([Entry("x", "a.jpg", panoptic), Entry(9, "b.jpg", empty)])))
    coco = pycocotools.COCO(path)
    assert sorted(coco.imgs) == [1, 9]
    read = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert_same_masks({s.id: coco.annToMask(one).astype(bool) for one, s in zip(read, panoptic, strict=True)}, panoptic)
    assert [(one["category_id"], one["area"], one["score"]) for one in read] == [
        (s.category_id, s.area, s.score) for s in panoptic
    ]
    assert coco.loadCats([300])[0]["name"] == "dog"


def test_images_named_by_texts_and_by_numbers_have_numbers_of_their_own(empty: PanopticMap) -> None:
    content = to_coco_instances([Entry(id, f"{id}.jpg", empty) for id in (2, "cover", 1, 4, "3", "back")])
    assert [(one["id"], one["file_name"]) for one in content["images"]] == [
        (2, "2.jpg"), (3, "cover.jpg"), (1, "1.jpg"), (4, "4.jpg"), (5, "3.jpg"), (6, "back.jpg"),
    ]  # fmt: skip


def test_label_studio(panoptic: PanopticMap, empty: PanopticMap) -> None:
    brush = pytest.importorskip("label_studio_converter.brush", reason="label-studio-converter is not installed")
    task = json.loads(json.dumps(to_label_studio(panoptic, "/data/upload/a.jpg")))
    assert task["data"] == {"image": "/data/upload/a.jpg"}
    [prediction] = task["predictions"]
    found = {}
    for result in prediction["result"]:
        values = brush.decode_rle(result["value"]["rle"]).reshape(result["original_height"], result["original_width"], 4)
        assert set(np.unique(values)) <= {0, 255}
        found[int(result["id"])] = (values > 0).all(2)
    assert_same_masks(found, panoptic)
    assert [result["value"]["brushlabels"] for result in prediction["result"]] == [[segment.name] for segment in panoptic]
    assert to_label_studio(empty, "b.jpg")["predictions"][0]["result"] == []


def test_what_lies_around_a_small_segment_is_put_into_bits_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many runs the form takes for it: else time grows as the objects times the image."""
    put: list[int] = []
    length_bits = label_studio._length_bits
    monkeypatch.setattr(label_studio, "_length_bits", lambda length: put.append(length) or length_bits(length))
    runs = Runs(np.array([1]), np.array([2_000_000]), np.array([3]))
    label_studio.brush_rle(runs, 4_000_000)
    assert len(put) <= 6


def test_many_segments_cost_no_pass_over_the_map_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks of the whole map for each of its segments are quadratic where these are small and many; a mask is its box's."""
    ids = torch.from_numpy(np.kron(np.arange(1, 401).reshape(20, 20), np.ones((3, 3))).astype(np.int32))
    many = panoptic_map(ids, [Label(number, 1) for number in range(1, 401)], CLASSES)
    compared: list[int] = []
    equal = torch.Tensor.__eq__
    monkeypatch.setattr(torch.Tensor, "__eq__", lambda self, other: compared.append(self.numel()) or equal(self, other))
    passes: list[int] = []
    runs_of = segment_runs.runs_of
    for module in (segment_runs, outlines):
        monkeypatch.setattr(module, "runs_of", lambda ids: passes.append(ids.numel()) or runs_of(ids))
    for write in (to_geojson, lambda one: to_labelme(one, "a.jpg"), lambda one: to_label_studio(one, "a.jpg")):
        write(many)
    assert sum(compared) <= ids.numel(), "each pixel once, by labelme"
    assert len(passes) == 2, "once by GeoJSON, once by Label Studio"


def test_runs_of_each_segment() -> None:
    ids = torch.tensor([[7, 7, 0], [7, 3, 3]], dtype=torch.int32)
    found = [(runs.starts.tolist(), runs.lengths.tolist()) for runs in runs_of_each(ids, [3, 7, 5])]
    assert found == [([4], [2]), ([0, 3], [2, 1]), ([], [])]


def test_geojson(panoptic: PanopticMap, empty: PanopticMap) -> None:
    """The middles of a segment's pixels lie inside its polygons and no others do; corners are those of pixels."""
    shapely = pytest.importorskip("shapely", reason="shapely is not installed")
    collection = json.loads(json.dumps(to_geojson(panoptic)))
    y, x = np.mgrid[: panoptic.ids.shape[0], : panoptic.ids.shape[1]] + 0.5
    found = {}
    for feature in collection["features"]:
        outline = shapely.geometry.shape(feature["geometry"])
        shapely.prepare(outline)
        assert outline.is_valid
        corners = shapely.get_coordinates(outline)
        assert np.array_equal(corners, corners.round())
        found[feature["properties"]["id"]] = shapely.contains_xy(outline, x, y)
        assert outline.area == found[feature["properties"]["id"]].sum()
    assert_same_masks(found, panoptic)
    ring = next(one["geometry"] for one in collection["features"] if one["properties"]["id"] == 500)
    biggest = max(ring["coordinates"], key=lambda polygon: shapely.geometry.Polygon(polygon[0]).area)
    assert [sorted(map(tuple, ring[:-1])) for ring in biggest] == [
        [(20, 20), (20, 60), (60, 20), (60, 60)],
        [(30, 30), (30, 50), (50, 30), (50, 50)],
    ]
    assert to_geojson(empty)["features"] == []


@pytest.fixture(scope="module")
def crowded() -> PanopticMap:
    """A crowd of cats, a cat, and a sky that is marked as a crowd too."""
    ids = torch.tensor([[1, 1, 2, 2], [1, 2, 2, 5]], dtype=torch.int32)
    return panoptic_map(ids, [Label(1, 1, True), Label(2, 1), Label(5, 0, True)], CLASSES)


@pytest.mark.filterwarnings("ignore:OpenCV")
def test_a_crowd_says_so_in_every_form(crowded: PanopticMap) -> None:
    pytest.importorskip("supervision", reason="supervision is not installed")
    regions = to_label_studio(crowded, "a.jpg")["predictions"][0]["result"]
    said = {
        "transformers": [one.get("is_crowd") for one in to_transformers(crowded)["segments_info"]],
        "labelme": [one["flags"].get("is_crowd") for one in to_labelme(crowded, "a.jpg")["shapes"]],
        "Label Studio": [one.get("meta", {}).get("is_crowd") for one in regions],
        "COCO": [one["iscrowd"] or None for one in to_coco_instances([Entry(1, "a.jpg", crowded)])["annotations"]],
        "GeoJSON": [one["properties"]["is_crowd"] or None for one in to_geojson(crowded)["features"]],
        "supervision": [one or None for one in to_supervision(crowded).data["is_crowd"]],
    }
    assert said == {form: [True, None, True] for form in said}


def test_crowds_come_back(crowded: PanopticMap, tmp_path: Path) -> None:
    """From transformers' form, and from labelme's by way of files."""
    assert from_transformers(to_transformers(crowded), CLASSES).segments == crowded.segments
    main(["interchange", "labelme", str(written(crowded, tmp_path)), "--out", str(tmp_path / "labels")])
    arguments = ["--images", str(tmp_path), "--things", "cat", "--out", str(tmp_path / "b")]
    main(["convert", "labelme", str(tmp_path / "labels"), *arguments])
    back = read_panoptic_file(tmp_path / "b" / "annotations" / "panoptic_train.json").map(0)
    assert [(s.name, s.is_crowd, s.area) for s in back] == [(s.name, s.is_crowd, s.area) for s in crowded]


def written(panoptic: PanopticMap, folder: Path) -> Path:
    """Its COCO panoptic JSON, beside its image."""
    height, width = panoptic.ids.shape
    Image.new("RGB", (width, height)).save(folder / "a.jpg")
    return write_panoptic(
        folder, [Entry(139, "a.jpg", panoptic)], CLASSES, json_name="panoptic.json", png_folder="panoptic", scores=True
    )


@pytest.mark.parametrize(("stated", "meant"), [("0.25", 0.25), (None, 1.0), (1, 1.0)])
def test_scores_are_numbers(panoptic: PanopticMap, tmp_path: Path, stated: object, meant: float) -> None:
    """Some tools write numbers as texts; a doubtful answer must not become a certain one."""
    path = _scored(panoptic, tmp_path, stated)
    main(["interchange", "coco-instances", str(path), "--out", str(tmp_path / "out")])
    assert meant in [one["score"] for one in json.loads((tmp_path / "out/instances.json").read_text())["annotations"]]


@pytest.mark.parametrize("stated", [nan, "high", [0.5]])
def test_a_score_that_is_no_number_is_refused(
    panoptic: PanopticMap, tmp_path: Path, stated: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["interchange", "geojson", str(_scored(panoptic, tmp_path, stated)), "--out", str(tmp_path / "out")])
    assert f"a.png: segment 500 has the score {stated!r}; expected a number, or no score." in capsys.readouterr().err


def _scored(panoptic: PanopticMap, folder: Path, score: object) -> Path:
    path = written(panoptic, folder)
    content = json.loads(path.read_text())
    (segment,) = [one for one in content["annotations"][0]["segments_info"] if one["id"] == 500]
    segment["score"] = score
    path.write_text(json.dumps(content))
    return path


def test_labelme_comes_back_through_its_converter(panoptic: PanopticMap, tmp_path: Path) -> None:
    path = written(panoptic, tmp_path)
    main(["interchange", "labelme", str(path), "--out", str(tmp_path / "labels")])
    assert json.loads((tmp_path / "labels" / "a.json").read_text()) == to_labelme(panoptic, "a.jpg")
    arguments = ["--images", str(tmp_path), "--things", "cat", "dog", "--out", str(tmp_path / "mine")]
    main(["convert", "labelme", str(tmp_path / "labels"), *arguments])
    read = read_panoptic_file(tmp_path / "mine" / "annotations" / "panoptic_train.json")
    back = read.map(0)
    position = [back.ids[panoptic.mask(segment)].unique().tolist() for segment in panoptic]
    assert [len(found) for found in position] == [1] * 4
    assert [back.mask(found[0]).sum().item() for found in position] == [segment.area for segment in panoptic]
    assert torch.equal(back.ids == 0, panoptic.ids == 0)
    names = {one.id: one.name for one in back}
    assert [names[found[0]] for found in position] == [segment.name for segment in panoptic]


@pytest.mark.parametrize(
    ("form", "name", "expected"),
    [
        ("coco-instances", "instances.json", lambda one: to_coco_instances([Entry(139, "a.jpg", one)])),
        ("label-studio", "tasks.json", lambda one: [to_label_studio(one, "a.jpg")]),
        ("geojson", "a.geojson", to_geojson),
    ],
)
def test_files_of_predictions_in_every_form(
    panoptic: PanopticMap, tmp_path: Path, form: str, name: str, expected: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["interchange", form, str(written(panoptic, tmp_path)), "--out", str(tmp_path / "out")])
    assert json.loads((tmp_path / "out" / name).read_text()) == json.loads(json.dumps(expected(panoptic)))
    assert "1 image, 4 segments" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("form", "name"),
    [("labelme", "a.json"), ("geojson", "a.geojson"), ("coco-instances", "instances.json"), ("label-studio", "tasks.json")],
)
def test_what_was_perhaps_corrected_by_hand_is_not_overwritten(
    panoptic: PanopticMap, tmp_path: Path, form: Form, name: str
) -> None:
    source, corrected = written(panoptic, tmp_path), tmp_path / "out" / name
    corrected.parent.mkdir()
    corrected.write_text("hours of work")
    with pytest.raises(InputError, match=rf"{name} is there already, perhaps with corrections; name another --out"):
        write_form(form, source, tmp_path / "out")
    assert corrected.read_text() == "hours of work"
    assert [*corrected.parent.iterdir()] == [corrected]


@pytest.mark.parametrize(
    ("image", "named"),
    [
        ("town/a_leftImg8bit.png", "town/a_leftImg8bit.json"),
        ("town\\a.png", "town/a.json"),
        ("/mnt/elsewhere/b.jpg", "a.json"),
        ("", "a.json"),
    ],
    ids=[
        "by the image",
        "as on Windows",
        "the PNG where the image lies in no folder of theirs",
        "the PNG where the JSON names no image",
    ],
)
def test_files_are_named_after_images(panoptic: PanopticMap, tmp_path: Path, image: str, named: str) -> None:
    path = written(panoptic, tmp_path)
    content = json.loads(path.read_text())
    content["images"] = [{"id": 139, "file_name": image, "height": 384, "width": 384}] if image else []
    path.write_text(json.dumps(content))
    write_form("labelme", path, tmp_path / "labels")
    assert [file.relative_to(tmp_path / "labels").as_posix() for file in (tmp_path / "labels").rglob("*.json")] == [named]
    inside = json.loads((tmp_path / "labels" / named).read_text())["imagePath"]
    assert inside == image.replace("\\", "/").split("/")[-1] or not image


@pytest.mark.parametrize(
    ("images", "named"),
    [
        (["a.jpg", "a.png", "b.jpg"], ["1.json", "2.json", "b.json"]),
        (["b.jpg", "/data/c.jpg", "2.png"], ["2.json", "3.json", "b.json"]),
    ],
    ids=["images of one stem", "an image of the stem of another's PNG"],
)
def test_files_that_would_be_one_are_named_after_pngs(
    crowded: PanopticMap, tmp_path: Path, images: list[str], named: list[str]
) -> None:
    path = renamed(crowded, tmp_path, images)
    write_form("labelme", path, tmp_path / "labels")
    assert sorted(file.name for file in (tmp_path / "labels").iterdir()) == named


def test_files_that_would_be_one_by_images_and_by_pngs_are_refused(crowded: PanopticMap, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2.png and 2.tif would both become 2.geojson"):
        write_form("geojson", renamed(crowded, tmp_path, ["a.jpg", "a.png", "2.tif"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def renamed(panoptic: PanopticMap, folder: Path, images: list[str]) -> Path:
    """A COCO panoptic JSON of images of these names, whose PNGs are 1.png, 2.png and so on."""
    entries = [Entry(number, f"{number}.jpg", panoptic) for number in range(1, len(images) + 1)]
    path = write_panoptic(folder, entries, CLASSES, json_name="panoptic.json", png_folder="panoptic", scores=True)
    content = json.loads(path.read_text())
    for entry, name in zip(content["images"], images, strict=True):
        entry["file_name"] = name
    path.write_text(json.dumps(content))
    return path


def test_a_form_that_there_is_not_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["interchange", "labelm", "panoptic.json", "--out", str(tmp_path)])
    assert stop.value.code == 2
    assert "labelme" in capsys.readouterr().err


def test_label_studio_s_tasks_name_images_where_it_finds_them(panoptic: PanopticMap, tmp_path: Path) -> None:
    source, prefix = str(written(panoptic, tmp_path)), "/data/local-files/?d=images/"
    names = {}
    for given in ("", prefix):
        out = tmp_path / f"tasks{len(names)}"
        main(["interchange", "label-studio", source, "--out", str(out), *(["--image-prefix", given] if given else [])])
        names[given] = [task["data"]["image"] for task in json.loads((out / "tasks.json").read_text())]
    assert names[prefix] == [prefix + name for name in names[""]]
    with pytest.raises(InputError, match="--image-prefix came, but labelme names images by their files"):
        write_form("labelme", Path(source), tmp_path / "labels", image_prefix=prefix)
