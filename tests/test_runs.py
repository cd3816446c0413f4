"""Finding a run, in a folder or on the hub, and reading its settings and class table."""

import re
from contextlib import nullcontext
from pathlib import Path

import huggingface_hub
import pytest

from unipan import hub
from unipan.checkpoint import RunFolder, open_run, read_classes, write_settings
from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.presets import PRESETS

CONFIG = PRESETS["scenes"]()
CLASSES = ClassTable.from_categories([{"id": 1, "name": "sky", "isthing": 0}, {"id": 2, "name": "cat", "isthing": 1}])


def test_settings_and_class_table_round_trip(tmp_path: Path) -> None:
    write_settings(RunFolder(tmp_path / "new/run"), CONFIG, CLASSES)
    folder, config, classes = open_run(tmp_path / "new/run")
    assert (folder.path, config, classes) == (tmp_path / "new/run", CONFIG, CLASSES)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no run: it has no config\.json and no classes\.json"):
        open_run(tmp_path)
    write_settings(RunFolder(tmp_path), CONFIG, CLASSES)
    (tmp_path / "classes.json").unlink()
    with pytest.raises(InputError, match=r"is no run: it has no classes\.json"):
        open_run(tmp_path)


def test_a_file_of_a_run_is_told_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    write_settings(RunFolder(run), CONFIG, CLASSES)
    for file, folder in ((run / "config.json", f", {run}"), (run / "checkpoints/step-2", f", {run}"), (tmp_path / "a.json", "")):
        file.parent.mkdir(exist_ok=True)
        file.touch()
        with pytest.raises(InputError, match=re.escape(f"{file} is a file; name the run's folder{folder}.")):
            open_run(file)
    monkeypatch.chdir(run)
    with pytest.raises(InputError, match=re.escape(f"config.json is a file; name the run's folder, {run}.")):
        open_run("config.json")


@pytest.mark.parametrize("text", ["", "[{}]", '[{"id": null, "name": "a", "isthing": 1}]', '["cat"]', "3", "[]"])
def test_a_damaged_class_table_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(InputError, match=r"cannot read the class table in .*classes\.json"):
        read_classes(tmp_path / "classes.json")


def test_a_run_of_the_hub_is_fetched_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(RunFolder(tmp_path), CONFIG, CLASSES)
    asked = []

    def snapshot_download(repo_id: str, *, allow_patterns: list[str]) -> str:
        asked.append((repo_id, sorted(allow_patterns)))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    folder, config, classes = open_run("hf:someone/scenes")
    assert (folder.path, config, classes) == (tmp_path, CONFIG, CLASSES)
    assert asked == [("someone/scenes", ["classes.json", "config.json", "metrics.json", "model.safetensors"])]
    open_run(str(tmp_path))
    assert len(asked) == 1, "a folder must not be looked for on the hub"


@pytest.mark.parametrize(("answers", "reason"), [(True, "no route to host"), (False, "it cannot be reached")])
def test_a_hub_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch, answers: bool, reason: str) -> None:
    def snapshot_download(*_, **__) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(hub, "hub", lambda: nullcontext(answers))
    with pytest.raises(InputError, match=f"cannot fetch hf:someone/scenes from the Hugging Face Hub: {reason}"):
        open_run("hf:someone/scenes")
