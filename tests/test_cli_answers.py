"""The command line: what it answers, to people and to programs, and what it hands to the recipes."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from cli_files import untrained_run, write_cat
from PIL import Image

import unipan
from unipan.cli import main
from unipan.overrides import Overrides
from unipan.presets import PRESETS


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], ["demo", "train", "evaluate", "predict", "score"]),
        (["demo"], ["--out", "--train.steps", "--json"]),
        (["train"], list(PRESETS)[:1]),
        (["train", "demo"], ["--resume", "--model.backbone", "Optimiser steps of linear warm-up"]),
        (["evaluate"], ["RUN", "--data.root", "--head", "--no-trim", "--json"]),
        (["predict"], ["RUN", "--out", "--head", "--json"]),
        (["compare"], ["RUN", "[IMAGE ...]", "--out", "--samples", "--data.root", "--json"]),
        (["score"], ["[OPTIONS] TRUTH ANSWERS", "--truth-dir", "--predictions-dir", "--merge", "--json"]),
    ],
)
def test_help(arguments: list[str], shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--help"])
    printed = capsys.readouterr()
    assert stop.value.code == 0
    assert all(text in printed.out for text in shown)
    assert printed.err == ""
    assert "config:" not in printed.out


OF_RUNS = ("evaluate", "report", "predict", "explore", "compare", "figure", "export", "benchmark")


@pytest.mark.parametrize("verb", [*OF_RUNS, "score", "interchange", "doctor"])
def test_help_has_no_word_of_python_and_says_what_is_as_the_run_has_it(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    shown = capsys.readouterr().out
    assert re.findall(r"None|STR|\[\[|--decoder|default: ?\)|default: ''", shown) == []
    parts = re.findall(r"^│ (--[\w.-]+)(.*?)(?=^│ -|^╰)", shown, re.MULTILINE | re.DOTALL)
    as_the_run = {name for name, text in parts if "as the run has it" in " ".join(text.replace("│", " ").split())}
    own = {f"--{field.name.replace('_', '-')}" for field in fields(Overrides)} | {"--head", "--data.root"}
    assert as_the_run == ({name for name, _ in parts} & own if verb in OF_RUNS else set())


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"unipan {unipan.__version__}\n"


def test_scores_as_json_and_as_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, predictions = write_cat(tmp_path / "truth.json", 0), write_cat(tmp_path / "predictions.json", 1)
    main(["score", str(truth), str(predictions), "--json"])
    quality = json.loads(capsys.readouterr().out)["quality"]
    assert quality["things"]["pq"] == pytest.approx(12 / 20)  # 4 x 3 pixels of 4 x 5
    assert quality["stuff"]["pq"] == pytest.approx(76 / 84)
    main(["score", str(truth), str(predictions)])
    printed = capsys.readouterr()
    assert "60.0" in printed.out
    assert "cat" in printed.out


def test_predictions_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = untrained_run(tmp_path / "run")
    Image.effect_noise((80, 48), 90).save(tmp_path / "image.png")
    main(["predict", str(run), str(tmp_path / "image.png"), "--out", str(tmp_path / "out"), "--json"])
    content = json.loads(capsys.readouterr().out)
    assert content == json.loads((tmp_path / "out/panoptic.json").read_text())
    assert content["images"][0] | {"id": 0} == {"id": 0, "file_name": "image.png", "height": 48, "width": 80}


def test_comparing_with_and_without_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = untrained_run(tmp_path / "run")
    Image.effect_noise((80, 48), 90).save(tmp_path / "image.png")
    main(["compare", str(run), str(tmp_path / "image.png"), "--out", str(tmp_path / "out")])
    printed = " ".join(capsys.readouterr().out.split())
    for text in (
        "3 heads: 1 image without truth",
        "unified",
        "UPSNet's head",
        "heuristic merger",
        "void pixels",
        "X_mask is 0",
        "1 drawing.",
    ):
        assert text in printed
    assert "ecoder" not in printed
    main(["compare", str(run), str(tmp_path / "image.png"), "--out", str(tmp_path / "out"), "--json"])
    content = json.loads(capsys.readouterr().out)
    assert content["drawings"] == [str(tmp_path / "out/image_compare.png")]
    assert content["heads"] == {}


def test_training_with_settings_of_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setattr("unipan.recipes.train.train", lambda config, out, **given: asked.append((config, out, given["resume"])))
    main(["train", "demo", "--train.steps", "7777", "--data.scene-size", "64", "96", "--out", str(tmp_path), "--resume"])
    main(["train", "demo", "--out", str(tmp_path)])
    preset = PRESETS["demo"]()
    changed = replace(preset, train=replace(preset.train, steps=7777), data=replace(preset.data, scene_size=(64, 96)))
    assert asked == [(changed, tmp_path, True), (preset, tmp_path, False)]
