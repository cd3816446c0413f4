"""Predicting many images: nothing is lost, nothing is silent, memory stays flat, and files say which image is which."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
from cli_files import untrained_run
from PIL import Image
from torchvision.ops import box_iou

from unipan.addresses import absolute, named
from unipan.cli import main
from unipan.data.image_ids import ids_in_json, ids_of_names, names_apart
from unipan.data.image_patterns import images_in
from unipan.errors import InputError
from unipan.overrides import Overrides
from unipan.predictor import Predictor, load
from unipan.recipes import predict_image
from unipan.recipes.evaluation.limits import limits_reached
from unipan.recipes.images import image_files
from unipan.recipes.predict import predict
from unipan.types import Detections

NAMES = ("001.png", "002.jpg", "b.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        noise = np.random.default_rng(number).integers(0, 256, (40, 56, 3), np.uint8)
        Image.fromarray(noise).save(folder / name)
    return folder


def content(out: Path) -> Any:
    return json.loads((out / "panoptic.json").read_text())


def files_of(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_options_of_a_call(predictor: Predictor, learnt_run: Path, folder: Path) -> None:
    path = folder / "b.png"
    inference = predictor.infer(path, threshold=1.0)
    assert len(inference.admitted.scores) == 0 < len(inference.detections.scores)
    assert all(not segment.is_thing for segment in predictor(path, threshold=1.0, head="heuristic").segments)
    assert limits_reached(predictor, inference) == ["--max-detections"]
    assert load(learnt_run, overrides=Overrides(scale=0.5)).infer(path).network_size == (20, 28)
    one = load(learnt_run, overrides=Overrides(max_detections=1, proposals=5, max_admitted=9)).infer(path)
    assert len(one.detections.scores) == 1


def test_boxes_of_a_class_overlap_by_the_limit_at_most(learnt_run: Path, folder: Path) -> None:
    def most(detections: Detections) -> float:
        same = (detections.labels[:, None] == detections.labels).fill_diagonal_(False)
        return float(box_iou(detections.boxes, detections.boxes)[same].max())

    apart, together = (load(learnt_run, overrides=Overrides(nms=limit)).infer(folder / "b.png") for limit in (0.01, 1.0))
    assert most(apart.detections) <= 0.01 < most(together.detections)


def test_an_answer_without_segments_is_an_answer(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    nothing = Overrides(threshold=1.0, min_stuff_area_px=10_000)
    done = predict(str(learnt_run), [folder], tmp_path / "out", overrides=nothing)
    assert (done.images, done.segments) == (len(NAMES), 0)
    assert done.last is not None
    assert not done.last[1].segments


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 2.0}, "a score lies in"),
        ({"nms": -0.1}, "an IoU lies in"),
        ({"nms": float("nan")}, "an IoU lies in"),
        ({"scale": 0.0}, "a factor lies above 0"),
        ({"scale": 1.0, "short_side": 9}, "give one or the other"),
    ],
)
def test_overrides_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Overrides(**values)


def test_one_that_cannot_be_read_costs_nothing_else(
    learnt_run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (folder / "002.jpg").read_bytes()
    (folder / "002.jpg").write_bytes(whole[:300])
    (folder / "._b.png").write_bytes(b"left by a system")
    (folder / "a.png").symlink_to("nowhere")
    with pytest.raises(SystemExit) as stop:
        main(["predict", str(learnt_run), str(folder), "--out", str(tmp_path / "out"), "--no-trim"])
    assert stop.value.code == 2
    printed = capsys.readouterr()
    message = " ".join(printed.err.split())
    assert "left out: 1 whose names begin with a dot" in message
    assert "left out: cannot read the image" in message
    assert "2 images could not be read; left out:" in message
    assert "2 images, " in printed.out
    assert [image["file_name"] for image in content(tmp_path / "out")["images"]] == ["001.png", "b.png"]
    (folder / "002.jpg").write_bytes(whole)
    assert (
        predict(str(learnt_run), [folder], tmp_path / "out", skip_done=True, overrides=Overrides(min_stuff_area_px=0)).images == 3
    )


def test_after_a_kill_the_same_bytes(learnt_run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict(str(learnt_run), [folder], tmp_path / "whole")
    out = tmp_path / "killed"
    with monkeypatch.context() as patch:
        write = predict_image.save_image
        patch.setattr(predict_image, "save_image", lambda drawn, path: write(drawn, path) if "b_" not in path.name else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            predict(str(learnt_run), [folder], out)
    assert not (out / "panoptic.json").exists()
    with (out / "panoptic.jsonl").open("a") as log:
        log.write('{"source": "/half')
    done = predict(str(learnt_run), [folder], out, skip_done=True)
    assert done.images == 3
    assert done.last
    assert named(done.last[0]).name == "b.png", "the others were done"
    assert files_of(out) == files_of(tmp_path / "whole")
    assert predict(str(learnt_run), [folder], out, skip_done=True).last is None


HANGING = """
import sys, time
from pathlib import Path
from unipan.cli import main
from unipan.recipes import predict_image as predict

write = predict.write_entry
def write_entry(folder, entry, *rest, **options):
    written = write(folder, entry, *rest, **options)
    if entry.file_name == "05.png":
        Path(sys.argv[1]).touch()
        time.sleep(600)
    return written

predict.write_entry = write_entry
main(sys.argv[2:])
"""
"""`unipan`, but that it hangs behind the PNG of an image, before the image's line, and then makes the file of its first word."""


def test_a_call_that_sigkill_ends_goes_on_to_the_same_bytes(learnt_run: Path, tmp_path: Path) -> None:
    images, hangs = tmp_path / "images", tmp_path / "hangs"
    images.mkdir()
    for number in range(12):
        noise = np.random.default_rng(number).integers(0, 256, (32, 48, 3), np.uint8)
        Image.fromarray(noise).save(images / f"{number:02}.png")
    call = ["predict", str(learnt_run), str(images), "--device", "cpu", "--out"]
    with subprocess.Popen([sys.executable, "-c", HANGING, str(hangs), *call, str(tmp_path / "killed")]) as process:
        while not hangs.exists() and process.poll() is None:
            time.sleep(0.02)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    lines = (tmp_path / "killed/panoptic.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 5, "what it follows from, and the images before"
    assert (tmp_path / "killed/panoptic/05.png").exists()
    main([*call, str(tmp_path / "killed"), "--skip-done"])
    main([*call, str(tmp_path / "whole")])
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


def test_overlays_are_jpeg_png_or_none(
    learnt_run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ("jpg", "png", "none"):
        main(["predict", str(learnt_run), str(folder / "b.png"), "--out", str(tmp_path / form), "--overlay", form])
        assert ("overlays, " in capsys.readouterr().out) == (form != "none")
    assert not list((tmp_path / "none").glob("*overlay*"))
    with Image.open(tmp_path / "png/b_overlay.png") as exact, Image.open(tmp_path / "jpg/b_overlay.jpg") as close:
        assert (exact.format, close.format) == ("PNG", "JPEG")
        difference = np.abs(np.asarray(exact, dtype=int) - np.asarray(close, dtype=int))
    assert 0 < difference.mean() < 8
    drawn = load(learnt_run)(folder / "b.png").plot()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "png/b_overlay.png")), np.asarray(drawn)), "as from Python"


def test_a_call_that_was_stopped_leaves_no_json_of_other_answers(
    learnt_run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its PNGs would be of two calls."""
    out = tmp_path / "out"
    predict(str(learnt_run), [folder], out)
    with monkeypatch.context() as patch:
        patch.setattr(predict_image, "save_image", lambda drawn, path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            predict(str(learnt_run), [folder], out, overrides=Overrides(threshold=0.9))
    assert not (out / "panoptic.json").exists()


def test_images_that_leave_the_json_are_named(
    learnt_run: Path, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    predict(str(learnt_run), [folder], out)
    predict(str(learnt_run), [folder], out)
    assert not [message for message in caplog.messages if "earlier call" in message], "the same images are just done again"
    predict(str(learnt_run), [folder / "b.png"], out)
    [message] = [message for message in caplog.messages if "earlier call" in message]
    assert "those of 2 images keep their files, but leave panoptic.json" in message
    assert message.endswith("001.png, 002.jpg")
    assert (out / "panoptic/001.png").exists()


def test_a_target_that_is_no_folder_is_told(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot make the folder .*/file: .*"):
        predict(str(learnt_run), [folder], tmp_path / "file")
    (tmp_path / "out/panoptic.json").mkdir(parents=True)
    with pytest.raises(InputError, match=r"cannot replace .*/panoptic\.json: Is a directory\. Name another --out"):
        predict(str(learnt_run), [folder], tmp_path / "out")


def test_what_is_done_is_not_mixed_with_others(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(str(learnt_run), [folder / "b.png"], out)
    with pytest.raises(InputError, match="of another run or other settings"):
        predict(str(learnt_run), [folder], out, skip_done=True, overrides=Overrides(threshold=0.9))
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    with pytest.raises(InputError, match=r"holds .*images/b\.png under the name b\.png"):
        predict(str(learnt_run), [other], out, skip_done=True)
    (out / "panoptic.jsonl").write_text("[1]\n")
    with pytest.raises(InputError, match=r"jsonl is damaged"):
        predict(str(learnt_run), [folder], out, skip_done=True)


def test_names_that_meet_are_told_before_anything_is_predicted(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "b.png", folder / "b.jpg")
    with pytest.raises(InputError, match=r"images/b\.jpg and .*images/b\.png would both become b_overlay\.jpg"):
        predict(str(learnt_run), [folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["/x/a.jpg", "/y/b.jpg"], ["a.jpg", "b.jpg"]),
        (["/x/a.jpg", "/y/a.png"], ["x/a.jpg", "y/a.png"]),
        (["/train/images/a.jpg", "/val/images/a.jpg", "/b.jpg"], ["train/images/a.jpg", "val/images/a.jpg", "b.jpg"]),
        (["/x/a.jpg", "/x/a.png"], ["a.jpg", "a.png"]),
        (["/x/../y/a.jpg", "/z/a.jpg"], ["y/a.jpg", "z/a.jpg"]),
    ],
)
def test_files_are_called_so_that_they_differ(files: list[str], names: list[str]) -> None:
    assert names_apart([Path(file) for file in files]) == names


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (os.fsdecode(b"caf\xe9.png"), r"caf\\udce9\.png: its name is no UTF-8; rename the file"),
        (r"\1.png", "leads out of its folder; rename the file"),
        ("n" * 239 + ".png", "without its suffix, is longer than 238 bytes; rename the file"),
    ],
)
def test_a_name_that_no_result_can_bear_costs_nothing_else(
    learnt_run: Path, folder: Path, tmp_path: Path, name: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As old archives leave it: told at once, and all others are predicted."""
    shutil.copy(folder / "b.png", folder / name)
    found = predict(str(learnt_run), [folder], tmp_path / "out")
    assert (found.images, found.unreadable) == (len(NAMES), [folder / name])
    assert re.search(fault, caplog.text)
    assert (tmp_path / "out/panoptic.json").is_file()
    longest = folder / ("n" * 238 + ".png")
    shutil.copy(folder / "b.png", longest)
    assert predict(str(learnt_run), [longest], tmp_path / "longest").images == 1


def test_further_images_get_ids_and_files_of_their_own(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    for name in ("1.png", "01.png", "deep/1.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.open(folder / "b.png").convert("RGB").save(folder / name)
    out = tmp_path / "out"
    predict(str(learnt_run), [folder / "1.png"], out)
    predict(str(learnt_run), [folder / "01.png"], out, skip_done=True)
    assert [image["id"] for image in json.loads((out / "panoptic.json").read_text())["images"]] == [1, "01"]
    with pytest.raises(InputError, match=r"holds 1\.png, whose files 1\.jpg would overwrite; name another --out"):
        predict(str(learnt_run), [folder / "deep/1.jpg"], out, skip_done=True)


def test_a_folder_that_has_grown_keeps_its_old_names(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    """Also where the log was written before, with lines of one image under two names."""
    grow, out = tmp_path / "grow", tmp_path / "out"
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        (grow / name).parent.mkdir(parents=True, exist_ok=True)
        if name == "b/1.png":
            predict(str(learnt_run), [grow], out)
        shutil.copy(folder / "b.png", grow / name)
    found = predict(str(learnt_run), [grow], out, skip_done=True)
    assert found.images == 3
    listed = [(image["file_name"], image["id"]) for image in content(out)["images"]]
    assert listed == [("1.png", 1), ("2.png", 2), ("b/1.png", "b/1")]
    assert found.segments == sum(len(one["segments_info"]) for one in content(out)["annotations"])
    log = out / "panoptic.jsonl"
    first = json.loads(log.read_text().splitlines()[1])
    first["image"] |= {"file_name": "a/1.png", "id": "a/1"}
    log.write_text(log.read_text() + json.dumps(first) + "\n")
    (out / "panoptic/a").mkdir()
    shutil.copy(out / "panoptic/1.png", out / "panoptic/a/1.png")
    again = predict(str(learnt_run), [grow], out, skip_done=True)
    assert (again.images, again.segments, again.last) == (3, found.segments, None)
    assert [image["file_name"] for image in content(out)["images"]] == ["2.png", "b/1.png", "a/1.png"]


def test_an_image_that_was_replaced_is_predicted_again(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    """Under its old name and id; where it can't be read now, the old answer is no longer listed either."""
    out, images = tmp_path / "out", [folder / "001.png", folder / "b.png"]
    before = predict(str(learnt_run), images, out)
    Image.new("RGB", (48, 32)).save(folder / "001.png")
    found = predict(str(learnt_run), images, out, skip_done=True)
    assert (found.images, found.last and found.last[0]) == (2, folder / "001.png")
    listed = [(one["file_name"], one["id"], one["width"]) for one in content(out)["images"]]
    assert listed == [("b.png", "b", 56), ("001.png", 1, 48)]
    assert found.segments == sum(len(one["segments_info"]) for one in content(out)["annotations"])
    with Image.open(out / "panoptic/001.png") as png:
        assert png.size == (48, 32)
    assert predict(str(learnt_run), images, out, skip_done=True).last is None
    (folder / "001.png").write_bytes(b"no image")
    found = predict(str(learnt_run), images, out, skip_done=True)
    assert (found.images, found.unreadable) == (1, [folder / "001.png"])
    assert [one["file_name"] for one in content(out)["images"]] == ["b.png"]
    assert found.segments < before.segments
    (folder / "001.png").unlink()
    assert predict(str(learnt_run), images[1:], out, skip_done=True).images == 1, "what is gone doesn't bring its old answer back"
    shutil.copy(folder / "b.png", folder / "001.png")
    predict(str(learnt_run), images, out, skip_done=True)
    assert [(one["file_name"], one["id"]) for one in content(out)["images"]] == [("b.png", "b"), ("001.png", 1)]


@pytest.mark.parametrize("empty", [False, True], ids=["gone", "empty"])
def test_an_image_whose_png_is_gone_is_predicted_again(
    learnt_run: Path, folder: Path, tmp_path: Path, empty: bool, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    predict(str(learnt_run), [folder], out)
    png = out / "panoptic/b.png"
    before = png.read_bytes()
    png.unlink()
    if empty:
        png.touch()
    found = predict(str(learnt_run), [folder], out, skip_done=True)
    assert (found.images, found.last and found.last[0]) == (len(NAMES), folder / "b.png")
    assert png.read_bytes() == before
    assert "predicted again, because their PNGs are gone: b.png" in caplog.text


@pytest.mark.parametrize("head", ["unified", "heuristic"])
def test_masks_are_made_of_those_that_enter_the_answer(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, head: Any
) -> None:
    """By the unified head; a merger takes what it likes of all."""
    run = untrained_run(tmp_path / "run", masks=True)
    predictor = load(run, head=head, overrides=Overrides(threshold=1.0))
    made: list[int] = []
    detector = type(predictor.network.detector)
    add_masks = detector.add_masks
    monkeypatch.setattr(
        detector, "add_masks", lambda *given: made.append(sum(len(d.boxes) for d in given[3])) or add_masks(*given)
    )
    call = {"head": head, "overrides": Overrides(threshold=1.0)}
    predict(str(run), [folder / "b.png"], tmp_path / "out", **call)
    predict(str(run), [folder / "b.png"], tmp_path / "tiled", tile=32, **call)
    predictor(folder / "b.png")
    assert len(made) > 3
    assert all(made) if head == "heuristic" else not any(made)


def test_one_file_has_one_name_however_its_path_is_written(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(str(learnt_run), [folder], out)
    up = folder / ".." / folder.name
    found = predict(str(learnt_run), [up], out, skip_done=True)
    assert (found.images, found.last) == (len(NAMES), None)
    log = out / "panoptic.jsonl"  # as an earlier version wrote it
    log.write_text(log.read_text().replace(json.dumps(f"{folder}/")[1:-1], json.dumps(f"{up}/")[1:-1]))
    assert predict(str(learnt_run), [folder], out, skip_done=True).last is None


def test_behind_a_link_two_dots_lead_elsewhere(folder: Path, tmp_path: Path) -> None:
    """To the folder above that which the link names, not above the link."""
    (tmp_path / "far/deep").mkdir(parents=True)
    shutil.copytree(folder, tmp_path / "far/images")
    (tmp_path / "link").symlink_to(tmp_path / "far/deep")
    there = tmp_path / "link/../images/b.png"
    assert named(absolute(there)).samefile(tmp_path / "far/images/b.png")
    assert absolute(folder / "../images/b.png") == folder / "b.png"
    assert len(image_files([there, folder / "b.png"], None)) == 2, "two files"


def test_a_log_without_the_files_states_goes_on(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(str(learnt_run), [folder], out)
    log = out / "panoptic.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    size = (folder / "b.png").stat().st_size
    assert [line.pop("state")["bytes"] for line in lines[1:]][-1] == size
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "b.png").touch()
    found = predict(str(learnt_run), [folder], out, skip_done=True)
    assert (found.images, found.last) == (len(NAMES), None)


def test_results_are_no_images(folder: Path, tmp_path: Path) -> None:
    (folder / "out").mkdir()
    shutil.copy(folder / "b.png", folder / "out/b_overlay.png")
    assert [file.name for file in image_files([folder, folder / "b.png"], folder / "out")] == list(NAMES), "and none twice"
    with pytest.raises(InputError, match="both where images are and where results go"):
        image_files([folder], folder)


def test_a_pattern_is_the_files_that_it_fits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [file.name for file in image_files([folder / "00?.*", folder / "b.png"], None)] == list(NAMES)
    (folder / "b*.png").write_bytes(b"")
    assert image_files([folder / "b*.png"], None) == [folder / "b*.png"], "a file that is so called"
    monkeypatch.chdir(folder.parent)
    assert image_files([Path("**/[0-9]*.jpg")], None) == [Path("images/002.jpg")]
    with pytest.raises(InputError, match=r"there is no file c\*\.png, nor one that it would fit as a pattern"):
        image_files([Path("c*.png")], None)


def test_what_a_pattern_fits_is_sorted_out_as_a_folder_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Results and files of other kinds are left out and told, and folders that it fits are read."""
    monkeypatch.chdir(folder.parent)
    out = Path("images/out")
    for path in (Path("images/deep/er/003.png"), out / "b_overlay.png", out / "panoptic/b.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "b.png", path)
    Path("images/notes.txt").touch()
    wanted = sorted([*(Path("images") / name for name in NAMES), Path("images/deep/er/003.png")])
    for pattern in ("images/*", "images/**", "im*", "images/**/*.*"):
        caplog.clear()
        assert sorted(image_files([Path(pattern)], out)) == wanted, pattern
        assert f"{pattern}: 4 images; left out: 2 in images/out, where results go, 1 of other kinds (.txt: 1)" in caplog.text
    assert len([*images_in("images/[a-z]*")]) == 4, "b.png, deep and out"
    assert image_files([Path("images/0*")], Path()) == wanted[:2], "all lies below the results"
    for pattern, problem in (("images/n*", "holds no image"), ("images/o*", "holds no image"), ("images/out/*", "is both where")):
        with pytest.raises(InputError, match=problem):
            image_files([Path(pattern)], out)


def test_ids_are_whole_numbers_where_names_are() -> None:
    assert ids_of_names(["000000000139.jpg", "7.png", "b.png", "x/8.png"]) == [139, 7, "b", 8]
    assert ids_of_names(["a/x.jpg", "b/x.jpg", "c/139.jpg", "c/1.jpg", "d/01.jpg"]) == ["a/x", "b/x", 139, "c/1", "d/01"]
    assert ids_of_names(["a.png", "a_leftImg8bit.png"]) == ["a", "a_leftImg8bit"], "each its own"
    assert ids_of_names(["1.jpg", "01.png", "2.png"]) == ["1", "01", 2], "numbers that meet tell nothing apart"
    assert ids_of_names(["20991231235959123456.jpg", "²³.jpg", "-3.jpg"]) == ["20991231235959123456", "²³", "-3"]


def test_ids_of_a_json(tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    images = [(5, "a/1.jpg"), (6, "b/1.jpg"), ("x", "2.jpg"), (8, "zurich_0_1_gtFine_leftImg8bit.png")]
    truth.write_text("\ufeff" + json.dumps({"images": [{"id": i, "file_name": name} for i, name in images]}))
    files = [Path(name) for name in ("z/b/1.png", "y/2.png", "a/1.jpg", "zurich/zurich_0_1_leftImg8bit.png")]
    assert ids_in_json(truth, files) == [6, "x", 5, 8]
    for wrong, message in (("3.jpg", r"1 of 2 images are not in .*: 3\.jpg"), ("2.png", "several files would get the id x")):
        with pytest.raises(InputError, match=message):
            ids_in_json(truth, [Path("y/2.png"), Path(wrong)])
    truth.write_text(json.dumps({"images": [{"id": i, "file_name": name} for i, name in [(1, "1.jpg"), (2, "1.png")]]}))
    assert ids_in_json(truth, [Path("1.png"), Path("1.jpg")]) == [2, 1], "each is named exactly"
    with pytest.raises(InputError, match=r"1\.gif could be any of the images 1, 2"):
        ids_in_json(truth, [Path("1.gif")])
    composed, apart = normalize("NFC", "dé/é.jpg"), normalize("NFD", "dé/é.jpg")
    images = [{"id": 1, "file_name": composed}, {"id": 2, "file_name": apart}]
    for listed in (images[:1], images[1:]):
        truth.write_text(json.dumps({"images": listed}))
        for name in (composed, apart):
            assert ids_in_json(truth, [Path(name)]) == [listed[0]["id"]]
    truth.write_text(json.dumps({"images": images}))
    assert ids_in_json(truth, [Path(apart), Path(composed)]) == [2, 1], "two files, told apart"
