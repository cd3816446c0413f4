"""The score of files: what comes out, how images and categories are joined, what a report says."""

import shutil
import subprocess
import sys
from io import StringIO
from math import nan
from pathlib import Path
from unicodedata import normalize

import pytest
from panoptic_strips import CATEGORIES, Content, edit, save_ids, write, write_predictions, write_truth
from PIL import Image
from rich.console import Console

from unipan.classes import ClassTable
from unipan.data.coco_files import read_panoptic_file
from unipan.errors import InputError
from unipan.metrics.pq import PQCounts, count, quality
from unipan.metrics.report import percent, signed_percent
from unipan.recipes.score import score


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_truth(tmp_path)


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    return write_predictions(tmp_path)


def test_known_numbers(truth: Path, predictions: Path) -> None:
    report = score(truth, predictions)
    assert [entry.pq for entry in report.quality.per_class] == pytest.approx([3 / 4, 1, 4 / 5, 3 / 4])
    assert report.quality.all.pq == pytest.approx(0.825)
    assert report.quality.things.pq == pytest.approx(0.875)
    assert report.num_images == 2


def test_iou_is_of_all_images_together_and_predicted_void_is_wrong(truth: Path, predictions: Path) -> None:
    iou = score(truth, predictions).final_answer_iou
    assert iou is not None
    assert iou.per_class == pytest.approx([3 / 4, 1, 4 / 5, 3 / 4])
    assert (iou.all, iou.things, iou.stuff) == pytest.approx((0.825, 0.875, 0.775))


def test_pngs_in_folders_may_be_named_as_on_windows(truth: Path, predictions: Path) -> None:
    expected = score(truth, predictions)
    folder = predictions.with_suffix("")
    (folder / "sub").mkdir()
    for png in folder.glob("*.png"):
        png.rename(folder / "sub" / png.name)
    edit(predictions, lambda content: [a.update(file_name=f"sub\\{a['file_name']}") for a in content["annotations"]])
    assert score(truth, predictions).quality == expected.quality


def test_predictions_without_categories_use_the_truths_ids(truth: Path, predictions: Path) -> None:
    expected = score(truth, predictions)
    edit(predictions, lambda content: content.pop("categories"))
    assert score(truth, predictions).quality == expected.quality


def test_categories_are_told_apart_by_name(truth: Path, predictions: Path) -> None:
    expected = score(truth, predictions)

    def renumber(content: Content) -> None:
        for entry in content["categories"]:
            entry["id"] += 10  # now the cat's id is the dog's of the truth
        for annotation in content["annotations"]:
            for segment in annotation["segments_info"]:
                segment["category_id"] += 10

    edit(predictions, renumber)
    assert score(truth, predictions).quality == expected.quality


def test_numbers_that_files_bear_are_not_taken_for_the_truths_ids(truth: Path, predictions: Path) -> None:
    """The truth numbers its images otherwise than their files are: an id alone would join the wrong ones."""
    expected = score(truth, predictions)
    edit(truth, lambda content: content.update(images=[{"id": 1, "file_name": "2.jpg"}, {"id": 2, "file_name": "1.jpg"}]))

    def named_by_files(content: Content) -> None:
        for annotation in content["annotations"]:
            annotation["image_id"] = 3 - annotation["image_id"]
        content["images"] = [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}]

    edit(predictions, named_by_files)
    assert score(truth, predictions).quality == expected.quality


def test_stated_areas_change_nothing(truth: Path, predictions: Path) -> None:
    expected = score(truth, predictions)
    for path in (truth, predictions):
        edit(path, lambda content: [s.update(area=1) for a in content["annotations"] for s in a["segments_info"]])
    assert score(truth, predictions).quality == expected.quality


def test_folders_can_be_named(truth: Path, predictions: Path, tmp_path: Path) -> None:
    expected = score(truth, predictions)
    truth_dir, predictions_dir = (path.with_suffix("").rename(tmp_path / f"moved-{path.stem}") for path in (truth, predictions))
    assert score(truth, predictions, truth_dir=truth_dir, predictions_dir=predictions_dir).quality == expected.quality
    with pytest.raises(InputError, match=r"the PNGs of .*truth\.json, is not there"):
        score(truth, predictions, predictions_dir=predictions_dir)


@pytest.mark.parametrize("by", ["png", "image"])
def test_images_match_by_stem_where_ids_are_unknown(truth: Path, tmp_path: Path, by: str) -> None:
    if by == "png":
        predictions = write(tmp_path / "named.json", {"a": "ddddlll.", "b": "cccsssss"})
        edit(truth, lambda content: [a.update(image_id=100 + a["image_id"]) for a in content["annotations"]])
        names = {"a": "2", "b": "1"}
    else:
        predictions = write(tmp_path / "named.json", {"image-2": "ddddlll.", "image-1": "cccsssss"})
        edit(truth, lambda content: content.update(images=[{"id": n, "file_name": f"town/image-{n}.jpg"} for n in (1, 2)]))
        names = {}
    for old, new in names.items():
        (tmp_path / "named" / f"{old}.png").rename(tmp_path / "named" / f"{new}.png")
    edit(predictions, lambda c: [a.update(file_name=f"{names.get(a['image_id'], a['image_id'])}.png") for a in c["annotations"]])
    assert score(truth, predictions).quality.all.pq == pytest.approx(0.825)


def test_files_that_seem_swapped_are_named(truth: Path, predictions: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit(predictions, lambda content: content["annotations"][1]["segments_info"][0].update(score=0.5))
    score(truth, predictions)
    score(predictions, predictions)
    assert not caplog.text
    score(predictions, truth)
    assert f"{predictions} has scores and {truth} has none: are they swapped? The truth comes first." in caplog.text


def test_further_predictions_are_left_out(truth: Path, tmp_path: Path) -> None:
    predictions = write(tmp_path / "more.json", {1: "ccccssss", 2: "ddddllll", 3: "ssssssss"})
    assert score(truth, predictions).quality.all.pq == 1


def _listed(path: Path, names: dict[int, str]) -> Path:
    """As `predict` lists images: each id with its file's name."""
    edit(path, lambda content: content.update(images=[{"id": id, "file_name": name} for id, name in names.items()]))
    return path


def test_a_prediction_of_another_image_never_takes_its_place_by_a_number(truth: Path, tmp_path: Path) -> None:
    """The truth numbers some images of a folder from 1; the predictions, of the whole folder, bear the files' numbers."""
    _listed(truth, {1: "0002.jpg", 2: "0004.jpg"})
    whole = write(tmp_path / "whole.json", {1: "ssssssss", 2: "ccccssss", 3: "ssssssss", 4: "ddddllll"})
    assert score(truth, _listed(whole, {n: f"000{n}.jpg" for n in (1, 2, 3, 4)})).quality.all.pq == 1
    lacking = _listed(write(tmp_path / "lacking.json", {1: "ccccssss", 4: "ddddllll"}), {1: "0001.jpg", 4: "0004.jpg"})
    with pytest.raises(InputError, match=r"lacks 1 of the 2 images in truth\.json, first 1\.png"):
        score(truth, lacking)


def test_a_file_in_another_folder_is_another_image(truth: Path, tmp_path: Path) -> None:
    _listed(truth, {1: "val/1.jpg", 2: "val/2.jpg"})
    rows = {11: "ssssssss", 12: "ccccssss", 13: "ddddllll"}
    names = {11: "train/1.jpg", 12: "data/val/1.jpg", 13: "2.jpg"}  # a leading folder more or less is the same file
    assert score(truth, _listed(write(tmp_path / "both.json", rows), names)).quality.all.pq == 1
    del rows[12], names[12]
    with pytest.raises(InputError, match=r"lacks 1 of the 2 images"):
        score(truth, _listed(write(tmp_path / "lacking.json", rows), names))


@pytest.mark.parametrize("named", [1, 2], ids=["same ids", "other ids"])
def test_names_are_alike_in_either_unicode_form(truth: Path, tmp_path: Path, named: int) -> None:
    """One system writes an accent as a sign of its own, another not; ids alone would pair nothing here."""
    _listed(truth, {1: normalize("NFC", "é.jpg"), 2: "2.jpg"})
    other = write(tmp_path / "other.json", {named: "ccccssss", 3 - named: "ddddllll"})
    assert score(truth, _listed(other, {named: normalize("NFD", "é.png"), 3 - named: "2.jpg"})).quality.all.pq == 1


@pytest.mark.parametrize("suffixes", [(".jpg", ".png"), (".jpeg", ".bmp")], ids=["by their names", "else by their ids"])
def test_images_that_differ_in_the_suffix_alone(truth: Path, tmp_path: Path, suffixes: tuple[str, str]) -> None:
    _listed(truth, {1: "a.jpg", 2: "a.png"})
    swapped = suffixes == (".jpg", ".png")
    rows = {2: "ccccssss", 1: "ddddllll"} if swapped else {1: "ccccssss", 2: "ddddllll"}
    names = {id: f"a{suffix}" for id, suffix in zip(rows, suffixes, strict=True)}
    assert score(truth, _listed(write(tmp_path / "same.json", rows), names)).quality.all.pq == 1


# --- merging ---


def test_merging_joins_stuff_and_keeps_things_apart(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.json", {1: "ccddssll"})
    predictions = write(tmp_path / "predictions.json", {1: "ccddssss"})
    animal, water = score(truth, predictions, merge="supercategory").quality.per_class
    assert (animal.name, animal.matched, animal.pq) == ("animal", 2, 1)
    assert (water.name, water.matched, water.pq) == ("water", 1, 1)
    assert score(truth, predictions).quality.stuff.pq == 0


@pytest.mark.parametrize("first_id", [1, 90])
def test_predictions_in_the_merged_categories_are_used_as_they_are(tmp_path: Path, first_id: int) -> None:
    truth = write(tmp_path / "truth.json", {1: "ccddssll"})
    merged, _ = ClassTable.from_categories(CATEGORIES).merged_by_supercategory()
    predictions = write(tmp_path / "predictions.json", {1: "ccddssss"})

    def merge(content: Content) -> None:
        content["categories"] = [entry | {"id": first_id + position} for position, entry in enumerate(merged.to_categories())]
        for segment in content["annotations"][0]["segments_info"]:
            segment["category_id"] = first_id + (segment["category_id"] >= 30)

    edit(predictions, merge)
    assert score(truth, predictions, merge="supercategory").quality.all.pq == 1


# --- the report ---


def test_report_prints_percent_and_keeps_fractions(truth: Path, predictions: Path) -> None:
    report = score(truth, predictions)
    console = Console(file=StringIO(), width=120)
    console.print(report.table(), report.class_table())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "predictions.json against truth.json" in text
    assert "82.5" in text
    assert "lake" in text
    assert report.to_json()["quality"]["all"]["pq"] == report.quality.all.pq


@pytest.mark.parametrize(
    ("fraction", "shown"), [(0.0004, "0.0"), (-0.0004, "0.0"), (0.0006, "+0.1"), (-0.0006, "-0.1"), (0.5, "+50.0"), (nan, "-")]
)
def test_no_zero_has_a_sign(fraction: float, shown: str) -> None:
    assert (signed_percent(fraction), percent(fraction)) == (shown, shown.removeprefix("+"))


def test_nothing_to_judge_is_a_dash_and_null(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.json", {1: "ssss"})
    report = score(truth, truth)
    console = Console(file=StringIO(), width=120)
    console.print(report.table())
    assert "-" in next(line for line in console.file.getvalue().splitlines() if "things" in line)  # type: ignore[attr-defined]
    assert report.to_json()["quality"]["things"]["pq"] is None


@pytest.mark.parametrize("merge", ["none", "supercategory"])
def test_files_are_scored_without_torch_whose_import_takes_longer(truth: Path, predictions: Path, merge: str) -> None:
    lake = predictions.with_suffix("") / "2.png"
    Image.open(lake).quantize(4).save(lake)  # read by Pillow, as it has a palette
    code = "import sys; from unipan.cli import main; main(); print({'torch', 'torchvision'} & set(sys.modules))"
    command = [sys.executable, "-c", code, "score", str(truth), str(predictions), "--merge", merge]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "set()"), done.stderr


# --- real data ---


def test_real_truth_against_itself_is_perfect(sample_data: Path) -> None:
    truth = sample_data / "coco-sample/sample_data/panoptic_examples.json"
    for merge in ("none", "supercategory"):
        result = score(truth, truth, merge=merge).quality
        assert result.all.pq == result.things.pq == result.stuff.pq == 1


def test_real_truth_damaged_scores_as_counted_in_memory(sample_data: Path, tmp_path: Path) -> None:
    source = sample_data / "coco-sample/sample_data/panoptic_examples.json"
    path, folder = tmp_path / "damaged.json", tmp_path / "damaged"
    shutil.copyfile(source, path)
    folder.mkdir()
    truth = read_panoptic_file(source)
    for position, png_name in enumerate(truth.png_names):
        save_ids(folder / png_name, truth.map(position).ids.roll((9, 4), (0, 1)))
    damaged = read_panoptic_file(path)
    expected = PQCounts.zero(len(truth.classes))
    for position in range(len(truth.image_ids)):
        expected = expected + count(damaged.map(position), truth.map(position), len(truth.classes))
    result = score(source, path).quality
    assert result.all == quality(expected, truth.classes).all
    assert 0 < result.all.pq < 1
