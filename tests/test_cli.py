"""The command line: what is wrong is one sentence on stderr, with exit status 2 and no traceback."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time

import numpy as np
import pytest
import torch
from cli_files import untrained_run, write_cat
from PIL import Image

from unipan.cli import main

PRINTS = "from unipan.cli.app import ending; from unipan.console import results\nwith ending(): results.print('a table')"
Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must fail; returns its one sentence."""

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert stop.value.code == 2
        assert printed.out == ""
        lines = [line for line in printed.err.splitlines() if line.strip()]
        message = lines[-1]
        assert message.startswith("unipan: ")
        assert message.endswith(".")
        assert "Traceback" not in printed.err
        assert all("predicting" in line or line.startswith("left out: ") for line in lines[:-1]), "nothing else may stand before"
        return message

    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("untrained"))


def test_a_missing_data_folder(refused: Refused, tmp_path: Path) -> None:
    out = tmp_path / "run"
    message = refused("train", "demo", "--data.source", "coco", "--data.root", "/nope", "--out", out)
    assert "/nope/annotations/panoptic_train2017.json" in message
    assert not out.exists()


def test_a_folder_that_cannot_be_made(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert "cannot make the folder" in refused("train", "demo", "--out", tmp_path / "taken/run")


@pytest.mark.parametrize(
    "words",
    [
        "train demo --out",
        "demo --out",
        "tables b scenes --out",
        "inspect demo --out",
        "doctor data --fix --out",
        "interchange geojson a.json --out",
        "convert cityscapes data --out",
        "evaluate run --part 1/2 --out",
        "score a.json b.json --part 1/2 --out",
        "compare run a.png --out",
        "explore run a.png --out",
        "figure run methods --out",
        "export run --onnx",
    ],
)
def test_an_address_is_no_folder_of_this_machine(
    words: str, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "s3://bucket/a.svg is an address" in refused(*words.split(), "s3://bucket/a.svg")
    assert "file:///bucket/a.svg is an address" in refused(*words.split(), "file:///bucket/a.svg")
    assert not [*tmp_path.iterdir()]


def test_json_and_png_that_disagree(refused: Refused, tmp_path: Path) -> None:
    truth, predictions = write_cat(tmp_path / "truth.json", 0), write_cat(tmp_path / "predictions.json", 1)
    content = json.loads(predictions.read_text())
    content["annotations"][0]["segments_info"][1]["id"] = 77
    predictions.write_text(json.dumps(content))
    message = refused("score", truth, predictions)
    assert "predictions/a.png and " in message
    assert "ids 2 are in the PNG but not in the JSON; ids 77 are in the JSON but not in the PNG" in message


def test_a_missing_file_to_score(refused: Refused, tmp_path: Path) -> None:
    assert "gone.json" in refused("score", tmp_path / "gone.json", tmp_path / "gone.json")


def test_a_truncated_image(refused: Refused, run: Path, tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:-300])
    message = refused("predict", run, path, "--out", tmp_path / "out")
    assert "1 image could not be read" in message
    assert "image.jpg" in message
    assert not (tmp_path / "out/panoptic.json").exists()


def test_no_image(refused: Refused, run: Path, tmp_path: Path) -> None:
    assert "no image is named" in refused("predict", run, "--out", tmp_path / "out")
    assert "gone.jpg" in refused("predict", run, tmp_path / "gone.jpg", "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["predict", "RUN", "", "--out", "OUT"], "to unipan predict"),
        (["predict", "RUN", ".", "--out", ""], "for --out"),
        (["predict", "RUN", ".", "--out="], "for --out"),
        (["score", "a.json", "b.json", "--truth-dir", ""], "for --truth-dir"),
        (["convert", "labelme", "", "--out", "OUT"], "to unipan convert labelme"),
        (["train", "demo", "--out", ""], "for --out"),
        (["evaluate", ""], "to unipan evaluate"),
    ],
)
def test_an_empty_word_is_no_current_folder(words: list[str], where: str, refused: Refused) -> None:
    assert f"an empty word came {where}; see that the variable is set." in refused(*words)


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "RUN", "--merge-parts"],
        ["score", "a.json", "b.json", "--merge_parts", "--json"],
        ["figure", "RUN", "methods", "--ids", "--out", "a.pdf"],
        ["convert", "labelme", "DIR", "--out", "OUT", "--things"],
        ["doctor", "a.json", "--images", "--json"],
    ],
)
def test_a_list_of_nothing_is_not_left_out_in_silence(words: list[str], refused: Refused) -> None:
    option = next(word for word in words if word in ("--merge-parts", "--merge_parts", "--ids", "--things", "--images"))
    sentence = f"{option} came with nothing behind it, and it takes one or more; give them, or leave {option} out."
    assert refused(*words) == f"unipan: {sentence}"


def test_texts_may_be_empty(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "gone.json"
    assert "gone.json" in refused("interchange", "label-studio", path, "--image-prefix", "", "--out", tmp_path / "out")
    assert "empty word" not in refused("train", "demo", "--data.train", "", "--train.steps", "0", "--out", tmp_path / "out")


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_a_run_that_is_none(verb: str, refused: Refused, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "image.png")
    more = [tmp_path / "image.png", "--out", tmp_path / "out"] if verb == "predict" else []
    assert "is no run: it has no config.json and no classes.json" in refused(verb, tmp_path, *more)


def test_a_run_whose_model_is_truncated(refused: Refused, run: Path, tmp_path: Path) -> None:
    for path in run.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: -10 if path.name == "model.safetensors" else None])
    Image.new("RGB", (64, 64)).save(tmp_path / "image.png")
    message = refused("predict", tmp_path, tmp_path / "image.png", "--out", tmp_path / "out")
    assert "model.safetensors is damaged" in message


def test_evaluating_on_other_classes(refused: Refused, run: Path) -> None:
    assert "was trained on other classes" in refused("evaluate", run)


def test_an_unknown_backbone(refused: Refused, tmp_path: Path) -> None:
    message = refused("train", "demo", "--model.backbone", "resnet5O", "--out", tmp_path / "run")
    assert "no backbone 'resnet5O'; near it: resnet5" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "dmeo", "--out", "x"], "there is no preset 'dmeo': did you mean demo?"),
        (["train", "cityscapes_r999", "--out", "x"], "there is no preset 'cityscapes_r999': "),
        (["trian", "demo"], "there is no verb 'trian': did you mean train?"),
        (["segment"], "there is no verb 'segment': there are demo, "),
    ],
)
def test_an_unknown_verb_or_preset(arguments: list[str], message: str, refused: Refused) -> None:
    assert message in refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train.steps", "0"], "unipan: train.steps is 0; it must be above 0."),
        (
            ["--train.warmup-steps", "-1"],
            "unipan: train.warmup_steps (-1) must be 0 or more and train.warmup_factor (0.333333) above 0",
        ),
        (["--model.variant", "B"], "model.variant B needs masks"),
    ],
)
@pytest.mark.parametrize("verb", [["train", "demo"], ["demo"]])
def test_settings_that_cannot_work(verb: list[str], arguments: list[str], message: str, refused: Refused, tmp_path: Path) -> None:
    assert message in refused(*verb, *arguments, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        (["train", "demo", "--train.stepss", "3", "--out", "x"], ["--train.stepss", "--train.steps?"]),
        (["train", "demo", "--train.steps", "many", "--out", "x"], ["--train.steps", "many"]),
        (["train", "demo", "--model.variant", "D", "--out", "x"], ["--model.variant takes one of A, B, C, but D came."]),
        (["inspect", "demo"], ["--out is missing: The image file to write."]),
        (["train", "--config"], ["--config"]),
        (["train", "demo", "--out"], ["--out takes a value, but none came"]),
        (["train"], ["demo"]),
        ([], ["demo", "train", "evaluate", "predict", "score"]),
    ],
)
def test_options_that_the_parser_refuses(arguments: list[str], hints: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    printed = capsys.readouterr()
    assert stop.value.code == 2
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert all(hint in printed.err for hint in hints)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["train", "demo", "--out", "x", "--train.stepss", "3"],
            "there is no option --train.stepss: did you mean --train.steps? ",
        ),
        (["evaluate", "run", "--hed", "upsnet"], "there is no option --hed: did you mean --head? "),
        (["predict", "run", "--sacle", "2"], "there is no option --sacle: did you mean --scale? "),
        (["predict", "run", "--thresh", "2"], "there is no option --thresh: did you mean --threshold? "),
        (["predict", "run", "--labels", "2"], "there is no option --labels: "),
        (["predict", "run", "--classes", "2"], "there is no option --classes: "),
        (["train", "demo", "--out", "x", "--steps=3"], "there is no option --steps=3: did you mean --train.steps? "),
        (["evaluate", "--train.batch-size", "3", "run"], "there is no option --train.batch-size: "),  # another verb's
        (["predict", "run", "--train.batch_size", "3", "--out", "x"], "there is no option --train.batch_size: "),
        (["tables", "a", "demo", "--out", "x", "--seed", "3"], "there is no option --seed: did you mean --train.seed? "),
    ],
)
def test_an_unknown_option_is_one_sentence_at_once(arguments: list[str], sentence: str, refused: Refused) -> None:
    began = process_time()
    message = refused(*arguments)
    assert process_time() - began < 1
    listed = "All" if "did you mean" in sentence else "all"
    assert message.startswith(f"unipan: {sentence}{listed} are listed by unipan {arguments[0]} ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["predict", "run", "a.jpg", "--out", "x", "--threshold", "abc"], "--threshold takes a number, but abc came."),
        (["predict", "run", "a.jpg", "--out", "x", "--ray-gpus", "nan"], "--ray-gpus takes a number, but nan came."),
        (["figure", "run", "methods", "--out", "x.pdf", "--rows=2.5"], "--rows takes a whole number, but 2.5 came."),
        (["train", "demo", "--train.steps", "many"], "--train.steps takes a whole number, but many came."),
        (["tables", "a", "demo", "--out", "x", "--seeds", "0", "one"], "--seeds takes a whole number, but one came."),
        (["benchmark", "run", "--size", "64", "abc"], "--size takes a whole number, but abc came."),
        (["train", "demo", "--data.scale-range", "abc", "2"], "--data.scale-range takes a number, but abc came."),
        (["train", "demo", "--data.crop=abc", "2"], "--data.crop takes a whole number, but abc came."),
        (["evaluate", "abc", "--data.val", "abc", "--threshold", "abc"], "--threshold takes a number, but abc came."),
    ],
)
def test_a_word_that_is_no_number(arguments: list[str], sentence: str, refused: Refused) -> None:
    assert refused(*arguments) == f"unipan: {sentence}"


def test_the_option_s_former_name_is_taken_where_the_option_is(refused: Refused, tmp_path: Path) -> None:
    assert "is no run" in refused("evaluate", tmp_path, "--decoder=upsnet")
    assert "there is no option --decoder" in refused("score", "a.json", "b.json", "--decoder", "upsnet")


def test_a_word_too_many(refused: Refused) -> None:
    assert "unipan score does not know what to do with c.json" in refused("score", "a.json", "b.json", "c.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "demo"], "--json stands before the verb; options follow it: unipan VERB --json ..."),
        (["--out", "x", "train", "demo"], "--out stands before the verb; "),
        (["train", "--out", "x", "demo"], "--out stands before the preset; options follow it: unipan train PRESET --out ..."),
        (["convert", "--clip", "labelme"], "--clip stands before the form; "),
        (["tables", "a"], "the preset is missing: there are demo, "),
        (["--"], "-- stands before the verb; "),
        ([""], "the verb is missing: "),
    ],
)
def test_options_before_a_verb_and_words_that_are_missing(arguments: list[str], message: str, refused: Refused) -> None:
    assert message in refused(*arguments)


@pytest.mark.parametrize(
    ("exhaust", "asked"), [(lambda: torch.empty(10**15), "4000000000000000 bytes"), (lambda: np.empty(2**57), "1.00 EiB")]
)
def test_a_lack_of_memory_is_one_sentence(
    exhaust: Callable[[], object], asked: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unipan.recipes.score.score", lambda *_, **__: exhaust())
    message = refused("score", "a.json", "b.json")
    assert message.startswith(f"unipan: the memory does not suffice, {asked} more were asked for. Smaller images need less")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["-m", "unipan", "evaluate", "--help"], ["-c", PRINTS]])
def test_a_reader_that_has_gone_is_no_fault(words: list[str], unbuffered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    command = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert command.stdout
    assert command.stderr
    command.stdout.close()
    assert (command.stderr.read(), command.wait()) == ("", 141)


def test_the_exit_status_and_streams_of_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unipan", "train", "demo", "--train.steps", "0", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "unipan: train.steps is 0; it must be above 0.\n"


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_, **__) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("unipan.recipes.score.score", broken)
    with pytest.raises(ZeroDivisionError):
        main(["score", "a.json", "b.json"])


def test_an_interruption_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_, **__) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unipan.recipes.score.score", interrupted)
    with pytest.raises(SystemExit) as stop:
        main(["score", "a.json", "b.json"])
    assert stop.value.code == 130
    assert capsys.readouterr().err == "unipan: interrupted.\n"


def test_a_device_that_is_not_there(refused: Refused, tmp_path: Path) -> None:
    missing = "mps" if torch.cuda.is_available() or not torch.backends.mps.is_available() else "cuda"
    message = f"unipan: the device is to be {missing}, but PyTorch finds none on this machine; choose auto or "
    assert message in refused("train", "demo", "--train.device", missing, "--model.no-pretrained", "--out", tmp_path / "run")
