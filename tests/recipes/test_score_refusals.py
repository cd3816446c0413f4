"""What the score of files refuses, and that the message names it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from panoptic_strips import Content, edit, write, write_predictions, write_truth

from unipan.errors import InputError
from unipan.recipes.score import score


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_truth(tmp_path)


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    return write_predictions(tmp_path)


def _two_for_one(content: Content) -> None:
    content["annotations"].append({"image_id": "other", "file_name": "1.png", "segments_info": []})


REFUSALS: dict[str, tuple[Callable[[Content], object], str]] = {
    "lacks images": (
        lambda c: c["annotations"].pop(),
        r"lacks 1 of the 2 images in truth\.json, first 1\.png \(image id 1\)",
    ),
    "two predictions": (_two_for_one, "two predictions for the image 1: 1 and other"),
    "image twice": (lambda c: c["annotations"].append(c["annotations"][0]), "image ids with more than one annotation: 2"),
    "an image's id twice": (
        lambda c: c.update(images=[{"id": 1, "file_name": name} for name in ("1.jpg", "1.jpg", "2.jpg")]),
        r"images has several files of the id 1\. Give each image its own id\.",
    ),
    "id twice": (
        lambda c: c["annotations"][0]["segments_info"].append(c["annotations"][0]["segments_info"][0]),
        r"segment ids that stand more than once, annotation 2\.png: 100000",
    ),
    "id 0": (lambda c: c["annotations"][0]["segments_info"][0].update(id=0), r"segment ids outside 1.*, annotation 2\.png: 0"),
    "only in PNG": (
        lambda c: c["annotations"][0]["segments_info"].pop(),
        r"2\.png and .*predictions\.json disagree: ids 108000 are in the PNG but",
    ),
    "only in JSON": (
        lambda c: c["annotations"][0]["segments_info"].append({"id": 5, "category_id": 10}),
        r"2\.png and .*predictions\.json disagree: ids 5 are in the JSON but",
    ),
    "unknown category": (
        lambda c: c["annotations"][0]["segments_info"][0].update(category_id=77),
        r"category_ids that are not in categories, annotation 2\.png: 77",
    ),
    "unknown name": (lambda c: c["categories"][1].update(name="wolf"), r"segment 100000 of 2\.png has the category 20"),
    "thing for stuff": (
        lambda c: c["categories"][2].update(isthing=1),
        r"sea is a thing in .*predictions\.json, but stuff in .*truth\.json",
    ),
    "stuff for a thing": (lambda c: c["categories"][0].update(isthing=0), r"cat is stuff in .*predictions\.json, but a thing in"),
    "no kind": (lambda c: c["categories"][0].pop("isthing"), r"predictions\.json: category .* lacks isthing"),
    "no PNG": (lambda c: c["annotations"][0].update(file_name="gone.png"), r"gone\.png"),
    "no segments": (lambda c: c["annotations"][0].pop("segments_info"), r"annotations\.0\.segments_info"),
    "no annotations": (lambda c: c.pop("annotations"), "annotations: Field required"),
}


def test_a_merge_that_there_is_not_is_no_merge_by_super_category(truth: Path, predictions: Path) -> None:
    with pytest.raises(InputError, match="there is no merge 'None'; choose one of none, supercategory"):
        score(truth, predictions, merge="None")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("change", "message"), REFUSALS.values(), ids=REFUSALS)
def test_wrong_predictions_are_refused(truth: Path, predictions: Path, change: Callable[[Content], object], message: str) -> None:
    edit(predictions, change)
    with pytest.raises(InputError, match=message):
        score(truth, predictions)


def test_a_prediction_of_another_size_is_refused(truth: Path, tmp_path: Path) -> None:
    predictions = write(tmp_path / "predictions.json", {1: "ccccssss", 2: "ddll"})
    with pytest.raises(InputError, match=r"2\.png: the prediction is 1x4 pixels but its truth 1x8"):
        score(truth, predictions)


def test_a_truth_without_images_is_refused(truth: Path, predictions: Path) -> None:
    edit(truth, lambda content: content["annotations"].clear())
    with pytest.raises(InputError, match=r"truth\.json has no annotations"):
        score(truth, predictions)


def test_one_image_of_the_truth_under_two_ids_is_named_as_that(truth: Path, predictions: Path) -> None:
    edit(truth, lambda content: content.update(images=[{"id": id, "file_name": "a.jpg"} for id in (1, 2)]))
    answer = {"image_id": 139, "file_name": "a.png", "segments_info": []}
    edit(predictions, lambda content: content.update(images=[{"id": 139, "file_name": "a.jpg"}], annotations=[answer]))
    with pytest.raises(InputError, match=r"a\.jpg stands in truth\.json under the ids 1, 2, .*; remove all but one"):
        score(truth, predictions)


def test_a_truth_without_categories_is_refused(truth: Path, predictions: Path) -> None:
    edit(truth, lambda content: content.pop("categories"))
    with pytest.raises(InputError, match="has no categories"):
        score(truth, predictions)


@pytest.mark.parametrize("text", ["", "[]", "{broken"])
def test_a_file_that_is_no_panoptic_json_is_refused(truth: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(InputError, match=r"odd\.json is not a JSON file in the COCO panoptic format"):
        score(truth, tmp_path / "odd.json")


def test_a_missing_json_is_refused(truth: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*gone\.json"):
        score(truth, tmp_path / "gone.json")
