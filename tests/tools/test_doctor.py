"""The doctor finds each planted fault, and it alone; what it can mend is mended."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from doctor_cases import CASES, CAT, CATEGORY_OF_ID, DOG, HEIGHT, SEA, WIDTH, Train, drawn, write_clean
from PIL import Image

import unipan
from unipan.cli import main
from unipan.data.coco import coco_split, json_set
from unipan.errors import InputError
from unipan.tools.doctor.examine import AHEAD, Diagnosis, examine, in_threads
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.repair import check_target, fix
from unipan.tools.doctor.run import NotMended
from unipan.tools.doctor.severity import Severity
from unipan.tools.doctor.splits import find_splits

BY_SLUG = {kind.slug: kind for kind in Kind}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_clean(tmp_path / "data")


def examined(root: Path) -> Diagnosis:
    return examine(find_splits([root], images=[], masks=[], names=[]))


def found(diagnosis: Diagnosis) -> dict[str, int]:
    return {finding.kind.slug: finding.count for finding in diagnosis.findings}


def exit_status(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_a_clean_data_set_has_nothing(root: Path) -> None:
    diagnosis = examined(root)
    assert diagnosis.findings == []
    assert diagnosis.trainable


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_found_and_it_alone(name: str, root: Path) -> None:
    train = Train(root)
    CASES[name].plant(train)
    train.save()
    diagnosis = examined(root)
    assert found(diagnosis) == CASES[name].found
    breaks = any(BY_SLUG[slug].severity is Severity.ERROR for slug in CASES[name].found)
    assert diagnosis.trainable is not breaks
    for finding in diagnosis.findings:
        assert 0 < len(finding.first) <= finding.count
        assert finding.kind.remedy


def test_every_kind_has_a_case() -> None:
    of_cityscapes = {"train-ids", "perhaps-train-ids"}
    assert {slug for case in CASES.values() for slug in case.found} == set(BY_SLUG) - of_cityscapes


@pytest.mark.parametrize("name", CASES)
def test_errors_are_those_that_break_training(name: str, root: Path) -> None:
    """The strict reader that training uses refuses what the doctor calls an error of one split, and nothing else."""
    train = Train(root)
    CASES[name].plant(train)
    train.save()
    own = {slug for slug in CASES[name].found if slug != "classes-differ"}  # between splits, so not the reader's matter
    expected = any(BY_SLUG[slug].severity is Severity.ERROR for slug in own)
    try:
        dataset = coco_split(root, "train", merge="none")
        for position in range(len(dataset)):
            dataset[position]
        refused = False
    except InputError:
        refused = True
    assert refused is expected or own == {"unsafe-file-name"}


@pytest.mark.parametrize("name", CASES)
def test_the_mended_copy_has_no_errors(name: str, root: Path, tmp_path: Path) -> None:
    train = Train(root)
    CASES[name].plant(train)
    train.save()
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    splits, out = find_splits([root], images=[], masks=[], names=[]), tmp_path / "mended"
    diagnosis = examine(splits)
    stuck = [slug for slug in CASES[name].found if BY_SLUG[slug].severity is Severity.ERROR and not BY_SLUG[slug].fix]
    if stuck:
        with pytest.raises(InputError, match="can't guess"):
            fix(diagnosis, out)
        assert not out.exists()
    else:
        copies = fix(diagnosis, out)
        after = examine([copy.split for copy in copies])
        assert after.trainable
        mendable = {slug for slug in CASES[name].found if BY_SLUG[slug].fix}
        assert not mendable & set(found(after))
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_copy_of_clean_data_is_the_same_data(root: Path, tmp_path: Path) -> None:
    splits = find_splits([root], images=[], masks=[], names=["train"])
    (copy,) = fix(examine(splits), tmp_path / "copy")
    ours, original = json.loads(copy.split.json_path.read_text()), Train(root).content
    assert ours["images"] == original["images"]
    assert sorted(ours["annotations"], key=lambda a: a["image_id"]) == sorted(
        original["annotations"], key=lambda a: a["image_id"]
    )
    for number in (1, 2, 3):
        pixels = (Image.open(folder / f"{number}.png") for folder in (copy.split.png_dir, Train(root).png.parent))
        assert np.array_equal(*(np.array(image) for image in pixels))  # type: ignore[arg-type]


def test_both_meanings_of_an_image_are_shown(root: Path) -> None:
    train = Train(root)
    CASES["two annotations that disagree"].plant(train)
    train.save()
    (finding,) = (
        f
        for f in examine(find_splits([root], images=[], masks=[], names=["train"])).findings
        if f.kind.slug == "annotation-repeated"
    )
    assert "segments of the categories none" in finding.first[0]
    assert "segments of the categories 30, 40" in finding.first[0]


def test_what_mending_leaves_out_is_counted(root: Path, tmp_path: Path) -> None:
    """Of an id that two images bear, neither can be kept."""
    train = Train(root)
    CASES["image id of two files"].plant(train)
    train.save()
    splits = find_splits([root], images=[], masks=[], names=["train"])
    (copy,) = fix(examine(splits), tmp_path / "copy")
    assert (copy.kept, copy.left_out) == (2, 1)


def test_what_mending_does_to_pixels(root: Path, tmp_path: Path) -> None:
    """Two seas become one, and a dog of an unknown category void."""
    train = Train(root)
    CASES["two seas"].plant(train)
    next(s for s in train.first["segments_info"] if s["id"] == DOG)["category_id"] = 99
    train.save()
    splits = find_splits([root], images=[], masks=[], names=["train"])
    (copy,) = fix(examine(splits), tmp_path / "copy")
    rgb = np.array(Image.open(copy.split.png_dir / "1.png")).astype(int)
    expected = drawn()
    expected[expected == DOG] = 0
    assert np.array_equal(rgb @ (1, 256, 65536), expected)
    segments = json.loads(copy.split.json_path.read_text())["annotations"][0]["segments_info"]
    assert {s["id"]: s["area"] for s in segments}[SEA] == (expected == SEA).sum()


def test_many_faults_at_once_are_all_counted(root: Path) -> None:
    train = Train(root)
    train.segments[DOG]["category_id"] = 99
    train.images[1]["width"] = WIDTH + 1
    for number in range(7):
        train.first["segments_info"].append({"id": 1000 + number, "category_id": 20})
    (root / "train" / "2.png").unlink()
    train.save()
    diagnosis = examined(root)
    assert found(diagnosis) == {"image-missing": 1, "unknown-category": 1, "id-only-in-json": 7, "size-json": 1}
    many = next(f for f in diagnosis.findings if f.count == 7)
    assert many.first == [f"1.png: {1000 + number}" for number in range(5)]


def test_a_cause_is_named_and_not_what_follows_from_it(root: Path) -> None:
    """Absolute names leave no image to look at, which is no fault of the annotations."""
    train = Train(root)
    for image in train.images:
        image["file_name"] = str(train.image.with_name(image["file_name"]))
    train.save()
    assert found(examined(root)) == {"unsafe-file-name": 3}


def test_both_meanings_are_shown_and_neither_is_taken(root: Path, tmp_path: Path) -> None:
    train = Train(root)
    CASES["segment id of two classes"].plant(train)
    train.save()
    splits = find_splits([root], images=[], masks=[], names=["train"])
    diagnosis = examine(splits)
    assert diagnosis.findings[0].first == ["1.png: 3 is cat and dog"]
    (copy,) = fix(diagnosis, tmp_path / "copy")
    ids = np.array(Image.open(copy.split.png_dir / "1.png")).astype(int) @ (1, 256, 65536)
    assert np.array_equal(ids, np.where(drawn() == CAT, 0, drawn()))


def test_a_segment_with_the_id_0_gets_a_free_one(root: Path, tmp_path: Path) -> None:
    train = Train(root)
    CASES["a segment drawn with id 0"].plant(train)
    train.save()
    (copy,) = fix(examine(find_splits([root], images=[], masks=[], names=["train"])), tmp_path / "copy")
    truth = json_set(copy.split.json_path, copy.split.images_dir, None, merge="none")[0].truth
    (dog,) = (segment for segment in truth.segments if segment.name == "dog")
    assert np.array_equal(truth.ids == dog.id, drawn() == DOG)


@pytest.mark.parametrize("alpha", [False, True])
def test_no_label_is_lost_to_swapped_channels(alpha: bool, root: Path, tmp_path: Path) -> None:
    train = Train(root)
    CASES["blue first"].plant(train)
    if alpha:
        Image.open(train.png).convert("RGBA").save(train.png)
    splits = find_splits([root], images=[], masks=[], names=["train"])
    diagnosis = examine(splits)
    assert "red and blue swapped" in diagnosis.findings[0].first[0]
    (copy,) = fix(diagnosis, tmp_path / "copy")
    ids = np.array(Image.open(copy.split.png_dir / "1.png")).astype(int) @ (1, 256, 65536)
    assert np.array_equal(ids, drawn())


def test_names_of_a_copy_have_forward_slashes(root: Path, tmp_path: Path) -> None:
    train = Train(root)
    CASES["backslashes"].plant(train)
    train.save()
    (copy,) = fix(examine(find_splits([root], images=[], masks=[], names=["train"])), tmp_path / "copy")
    assert json.loads(copy.split.json_path.read_text())["images"][0]["file_name"] == "sub/1.png"
    assert copy.left_out == 0


def test_an_image_whose_labels_are_all_elsewhere_is_left_out(root: Path, tmp_path: Path) -> None:
    train = Train(root)
    CASES["another image's PNG"].plant(train)
    (copy,) = fix(examine(find_splits([root], images=[], masks=[], names=["train"])), tmp_path / "copy")
    assert (copy.kept, copy.left_out) == (2, 1)


def test_numbers_of_the_data_set(root: Path) -> None:
    train, val = examined(root).balances
    assert (train.listed, val.listed, train.things, train.crowds.total()) == (3, 2, 6, 3)
    assert train.void_share == pytest.approx(2 / WIDTH)
    assert train.pixels[20] == 3 * 6 * 5
    assert train.pixels.total() + train.void == 3 * HEIGHT * WIDTH
    assert train.images_with[0] == 3
    assert train.segments[0] == 6


def test_what_a_preset_would_lose_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("doctor", root, "--preset", "coco_small") == 0
    printed = capsys.readouterr().out
    assert (
        "With the preset coco_small: the limit inference.min_stuff_area_px 4096 removes 10 of 10 true stuff segments" in printed
    )
    assert exit_status("doctor", root, "--preset", "coco_r50", "--json") == 0
    (stuff,) = json.loads(capsys.readouterr().out)["settings"]
    assert "removes 10 of 10" in stuff
    assert exit_status("doctor", root, "--preset", "coco") == 2
    assert "there is no preset coco; expected one of demo, scenes, coco_small" in capsys.readouterr().err


def test_merging_of_classes_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exporters give every category one super-category."""
    for path in (root / "annotations").glob("*.json"):
        content = json.loads(path.read_text())
        for category in content["categories"]:
            category["supercategory"] = "none"
        path.write_text(json.dumps(content))
    assert exit_status("doctor", root, "--preset", "coco_small") == 0
    assert "4 classes were merged into 2 by their super-categories; --data.merge none keeps them" in capsys.readouterr().out
    jsons = [root / "annotations" / f"panoptic_{split}.json" for split in ("train", "val")]
    assert exit_status("doctor", *jsons, "--preset", "coco_small") == 0
    assert "coco_small" not in capsys.readouterr().out, "of JSONs training merges nothing and keeps all stuff unless asked"


def test_exit_status_and_json(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("doctor", root) == 0
    assert "Nothing is wrong." in capsys.readouterr().out
    train = Train(root)
    CASES["unknown category"].plant(train)
    train.save()
    jsons = [root / "annotations" / f"panoptic_{split}.json" for split in ("train", "val")]
    assert exit_status("doctor", *jsons, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["errors"], report["warnings"]) == (1, 0)
    assert report["findings"][0]["kind"] == "unknown-category"
    assert report["findings"][0]["first"] == ["1.png: segment 4, category 99"]
    assert exit_status("doctor", root, "--fix", "--out", tmp_path / "copy") == 0
    printed = capsys.readouterr().out
    assert "unknown-category" not in printed
    assert "--data.train" in printed
    assert exit_status("doctor", root, "--fix", "--out", tmp_path / "copy") == 2
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize(("fault", "refusal"), [("all PNGs gone", "no image of train can be used"), ("isthing", "can't guess")])
def test_a_refused_copy_leaves_the_report(
    fault: str, refusal: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing of the other splits either."""
    train = Train(root)
    train.categories[0].pop("isthing") if fault == "isthing" else shutil.rmtree(train.png.parent)
    train.png.parent.mkdir(exist_ok=True)
    train.save()
    exit_status("doctor", root, "--json")
    report = json.loads(capsys.readouterr().out)
    assert exit_status("doctor", root, "--fix", "--out", tmp_path / "copy", "--json") == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out) == report
    assert refusal in printed.err
    assert exit_status("doctor", root, "--fix", "--out", tmp_path / "copy") == 2
    printed = " ".join(capsys.readouterr().out.split())
    assert report["findings"][0]["what"] in printed
    assert refusal in printed
    with pytest.raises(InputError, match=refusal) as refused:
        unipan.doctor(root, fix_into=tmp_path / "copy")
    assert isinstance(refused.value, NotMended)
    assert refused.value.found.to_json() == report
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("failure", [InputError("cannot write: no space"), KeyboardInterrupt()])
def test_a_failure_in_a_later_split_leaves_nothing(
    failure: BaseException, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_second(path: Path, content: object) -> None:
        if path.name == "panoptic_val.json":
            raise failure
        path.write_text(json.dumps(content))

    monkeypatch.setattr("unipan.tools.doctor.repair.write_json", fails_second)
    empty = tmp_path / "mine"
    empty.mkdir()
    for out in (tmp_path / "copy", empty):
        with pytest.raises(type(failure)):
            fix(examined(root), out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "mine"]
    assert not list(empty.iterdir())


def test_crowds_alone_are_no_fault_of_a_split_that_is_not_learnt_from(root: Path) -> None:
    held_out = root / "annotations" / "panoptic_val.json"
    content = json.loads(held_out.read_text())
    for annotation in content["annotations"]:
        for segment in annotation["segments_info"]:
            segment["iscrowd"] = int(segment["category_id"] == CATEGORY_OF_ID[CAT])
    held_out.write_text(json.dumps(content))
    assert examined(root).findings == []
    alone = examine(find_splits([root], images=[], masks=[], names=["val"]))
    assert found(alone) == {"only-crowds": 1}, "nobody knows what is learnt from"


def test_json_files_anywhere(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All images in one folder, one of them in a subfolder of it; JSONs and PNGs elsewhere; two JSONs of one name."""
    images = tmp_path / "images"
    (root / "train").rename(images)
    for path in (root / "val").iterdir():
        path.rename(images / path.name)
    (images / "deeper").mkdir()
    (images / "2.png").rename(images / "deeper" / "2.png")
    jsons, masks = [], []
    for split in ("train", "val"):
        jsons.append(tmp_path / split / "labels.json")
        jsons[-1].parent.mkdir()
        (root / "annotations" / f"panoptic_{split}.json").rename(jsons[-1])
        masks.append(root / "annotations" / f"panoptic_{split}")
    assert exit_status("doctor", *jsons, "--images", images, "--masks", *masks, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["findings"] == []
    assert [split["name"] for split in report["splits"]] == [str(path) for path in jsons]
    assert exit_status("doctor", *jsons, "--images", images) == 2
    assert "--masks" in capsys.readouterr().err


def test_results_wait_for_their_reader() -> None:
    """However many calls there are, only a few run ahead of what has been taken."""
    begun: list[int] = []
    results = in_threads([partial(lambda number: begun.append(number) or number, number) for number in range(500)])
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()  # type: ignore[attr-defined]
    assert len(begun) < 3 + 2 * AHEAD * max(2, os.cpu_count() or 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{root}/nothing"], "there is no file or folder"),
        (["{root}/train"], "holds neither annotations"),
        (["{root}", "--fix"], "belong together"),
        (["{root}", "--split", "test"], "there is no split test; found: train, val"),
        (["{root}", "--images", "{root}", "{root}", "{root}"], "3 folders for 2 splits"),
        (["{root}/train/1.png"], "1.png is no .json file"),
        ([], "name what the doctor is to look at"),
    ],
)
def test_misuse_is_a_sentence(arguments: list[str], message: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("doctor", *(word.format(root=root) for word in arguments)) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "no list images"),
        ('{"images": [], "categories": []}', "no list annotations"),
        ('{"images": [], "categories": [], "annotations": [{"segmentation": []}]}', "convert instances"),
    ],
)
def test_a_json_that_is_no_panoptic_one(text: str, message: str, root: Path) -> None:
    Train(root).path.write_text(text)
    with pytest.raises(InputError, match=message):
        examined(root)


def test_cityscapes_is_not_mended_in_place(tmp_path: Path, sample_data: Path) -> None:
    splits = find_splits([sample_data / "cityscapes-sample"], images=[], masks=[], names=[])
    with pytest.raises(InputError, match="unipan convert cityscapes"):
        check_target(splits, tmp_path / "out")


def test_a_real_sample_can_be_trained_on(sample_data: Path) -> None:
    """COCO as published: nothing in it breaks training, and no area or box is wrong."""
    splits = find_splits([sample_data / "coco-mini"], images=[], masks=[], names=["val2017"])
    diagnosis = examine(splits)
    assert diagnosis.trainable
    assert found(diagnosis) == {"mostly-void": 1, "class-unseen": 29}
    assert diagnosis.balances[0].crowds.total() == 3
