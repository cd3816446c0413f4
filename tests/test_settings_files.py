"""Settings in files of one's own: three forms, one meaning; the command line wins; what is wrong is named."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unipan.cli import main
from unipan.config import Config
from unipan.errors import InputError
from unipan.files import new_numbered_folder
from unipan.presets import PRESETS, coco_small, demo, for_own_data, settings_of
from unipan.settings import flat_settings
from unipan.settings_file import as_json, read_settings, save_config

FORMS = {
    "mine.json": '{"preset": "demo", "train": {"steps": 7, "learning_rate": 1e-4}, "data.scene_size": [64, 96]}',
    "mine.yaml": "preset: demo\ntrain:\n  steps: 7\n  learning_rate: 1e-4\ndata.scene_size: [64, 96]\n",
    "mine.toml": 'preset = "demo"\n"data.scene_size" = [64, 96]\n[train]\nsteps = 7\nlearning_rate = 1e-4\n',
}


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    main([*words, "--print-config"])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("verb", [["inspect"], ["tables", "a"]])
def test_printing_settings_needs_no_place_for_what_is_not_written(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, *verb, "demo", "--train.steps", "9")["train"]["steps"] == 9
    with pytest.raises(SystemExit):
        main([*verb, "demo"])
    assert "--out is missing: " in capsys.readouterr().err


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_each_form_says_the_same_and_the_command_line_wins(
    name: str, windows: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" * windows + FORMS[name].encode())
    base = demo()
    schedule = replace(base.train, steps=7, learning_rate=1e-4)
    expected = replace(base, train=schedule, data=replace(base.data, scene_size=(64, 96)))
    assert settings_of(read_settings(tmp_path / name), {}) == expected
    shown = printed(capsys, "train", f"--config={tmp_path / name}", "--train.steps", "9", "--out", str(tmp_path / "no"))
    assert shown == json.loads(as_json(replace(expected, train=replace(schedule, steps=9))))
    shown = printed(capsys, "train", "coco_small", "--config=none.yaml", "--config", str(tmp_path / name))
    assert (shown["train"]["steps"], shown["data"]["merge"]) == (7, "supercategory")  # the command line's preset
    assert caplog.messages == [f"another preset: {tmp_path / name} names demo; the command line's, coco_small, is taken."]
    assert not (tmp_path / "no").exists()


def test_the_settings_of_a_run_go_back_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, preset in PRESETS.items():
        save_config(preset(), tmp_path / f"{name}.json")
        assert printed(capsys, "train", "--config", str(tmp_path / f"{name}.json")) == json.loads(as_json(preset()))


@pytest.mark.parametrize("by_file", [True, False])
def test_data_of_one_s_own_are_neither_merged_nor_trimmed(
    by_file: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {"train": "a.json", "val": "b.json", "images": "images"}
    (tmp_path / "own.json").write_text(json.dumps({"preset": "coco_small", "data": own} if by_file else {}))
    words = [] if by_file else [word for name, value in own.items() for word in (f"--data.{name}", value)]
    shown = printed(capsys, "train", "coco_small", "--config", str(tmp_path / "own.json"), *words)
    assert shown == json.loads(as_json(settings_of("coco_small", {"data": own})))
    assert (shown["data"]["merge"], shown["inference"]["min_stuff_area_px"]) == ("none", 0)
    assert settings_of("coco_small", {"data": own}).model == for_own_data(coco_small()).model


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "train: {stepss: 3}", "a.yaml: setting train.stepss is unknown (near it: train.steps)."),
        ("a.yaml", "steps: 3", "a.yaml: setting steps is unknown (near it: train.steps)."),
        ("a.yaml", "train: 3", "a.yaml: setting train is a section, whose settings are named like train.steps."),
        ("a.yaml", "train: {steps: many}", "a.yaml: setting train.steps: "),
        ("a.yaml", "train: {steps: 0}", "a.yaml: train.steps is 0; it must be above 0."),
        ("a.yaml", "preset: dmeo", "a.yaml: there is no preset dmeo"),
        ("a.yaml", "a: [", "cannot read the settings in "),
        ("a.yaml", "a: &a [1]\nb: [*a, *a]", "aliases"),
        ("a.yaml", "- 1", "holds list, not settings"),
        ("a.yaml", "false", "holds bool, not settings"),
        ("a.yaml", "preset: [demo]", "a.yaml: there is no preset ['demo']"),
        ("a.json", '{"preset": {"a": 1}}', "a.json: there is no preset {'a': 1}"),
        ("a.yaml", "data: {val_scenes: 100000000000000000000}", "data.val_scenes is 100000000000000000000; it must be at most"),
        ("a.yaml", "train: {decay_steps: [9223372036854775808]}", "train.decay_steps is (9223372036854775808,); it must be"),
        ("a.yaml", "model: {detector: {proposals_before_nms: 9223372036854775808}}", "model.detector.proposals_before_nms is"),
        ("a.yaml", "model: {detector: {anchor_scale: 1.0e+300}}", "model.detector.anchor_scale is 1e+300; it must be below"),
        ("a.yaml", "!!python/object/apply:os.system [id]", "cannot read the settings in "),
        ("a.yaml", "train: {steps: 7}\ndata: {}\ntrain: {workers: 0}", "a.yaml: it has train 2 times; write it once."),
        (
            "a.json",
            '{"train.steps": 1, "train": {"steps": 2}}',
            "a.json: setting train.steps stands there twice; write it once.\n",
        ),
        ("a.yaml", "a:\n- {b: {c: 1, c: 2}}", "it has c 2 times"),
        ("a.json", '{"train": {"steps": 7, "steps": 8}}', "it has steps 2 times"),
        ("a.toml", "[train]\n[train]", "cannot read the settings in "),
        ("a.toml", "a = ", "cannot read the settings in "),
        ("a.json", "[" * 100_000, "cannot read the settings in "),
        ("a.yaml", "[" * 100_000, "cannot read the settings in "),
        ("a.ini", "a=3", "its name ends in .ini, and .json, .yaml or .toml are known."),
        ("a.json", " " * 2_000_000, "it has more than 1000000 bytes."),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(
    name: str, text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SystemExit) as stop:
        main(["train", "--config", str(tmp_path / name), "--out", str(tmp_path / "run")])
    said = capsys.readouterr()
    assert (stop.value.code, said.out) == (2, "")
    assert message in said.err
    assert len(said.err.splitlines()) == 1


@settings(max_examples=20)
@given(st.integers(1, 10**6), st.floats(1e-6, 1.0))
def test_replace_changes_one_setting_and_no_other(steps: int, rate: float) -> None:
    base = demo()
    changed = base.replace("train.steps", steps).replace("train.learning_rate", rate).replace("data.scene_size", [64, 96])
    differing = {name for name, value in flat_settings(changed).items() if flat_settings(base)[name] != value}
    assert differing <= {"train.steps", "train.learning_rate", "data.scene_size"}
    assert (changed.train.steps, changed.train.learning_rate, changed.data.scene_size) == (steps, rate, (64, 96))


def test_replace_refuses_what_config_refuses() -> None:
    with pytest.raises(InputError, match=r"model\.variant B needs masks"):
        demo().replace("model.variant", "B")
    with pytest.raises(InputError, match=r"model\.variant.*'D'"):
        Config().replace("model.variant", "D")
    assert Config().replace("data.train", "").replace("train.init", Path("runs/a")).train.init == "runs/a"


def test_those_who_ask_at_once_get_folders_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "train-7").mkdir()
    (tmp_path / "train-best").mkdir()
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: new_numbered_folder(tmp_path, "train"), range(40)))
    assert {path.name for path in paths} == {f"train-{number}" for number in range(8, 48)}
