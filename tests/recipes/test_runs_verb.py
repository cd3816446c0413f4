"""`unipan runs`: what runs there are, what tells them apart, how far they are, what they score; broken ones with a reason."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from unipan.checkpoint import RunFolder, write_settings
from unipan.classes import ClassInfo, ClassTable
from unipan.cli import main
from unipan.config import Config
from unipan.errors import InputError
from unipan.presets import scenes
from unipan.recipes.runs import RunList, list_runs
from unipan.tensor_file import TensorFile, write_tensor_file

CLASSES = ClassTable((ClassInfo(name="sky", is_thing=False, dataset_id=1, color=(0, 0, 0), supercategory="sky"),))


def write_run(path: Path, config: Config, *, step: int, pq: float | None = None, finished: bool = False, age: int = 0) -> None:
    folder = RunFolder(path)
    write_settings(folder, config, CLASSES)
    folder.log.write_text("".join(f'{{"step": {number}}}\n' for number in range(1, step + 1)))
    if finished:
        write_tensor_file(folder.model, TensorFile("model", {}, {}))
    if pq is not None:
        quality = {group: {"pq": value} for group, value in (("all", pq), ("things", None), ("stuff", pq / 2))}
        folder.metrics.write_text(json.dumps({"answer": {"quality": quality}}))
    for file in path.iterdir():
        os.utime(file, (1_000_000 - age, 1_000_000 - age))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    base = scenes()
    write_run(tmp_path / "late", replace(base, train=replace(base.train, seed=1)), step=3)
    write_run(tmp_path / "group" / "early", base, step=600, pq=0.5, finished=True, age=1000)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").write_text("{}")
    (tmp_path / "notes").mkdir()
    return tmp_path


def text(found: RunList, width: int = 100) -> str:
    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(found.table())
    return console.export_text()


def test_runs_are_listed_by_date_with_what_differs(runs: Path) -> None:
    found = list_runs(runs).to_json()
    assert [run["run"] for run in found["runs"]] == ["group/early", "late"]
    assert [run["settings"] for run in found["runs"]] == [{"train.seed": 0}, {"train.seed": 1}]
    assert [(run["step"], run["steps"], run["finished"]) for run in found["runs"]] == [(600, 600, True), (3, 600, False)]
    assert [run["pq"] for run in found["runs"]] == [{"all": 0.5, "things": None, "stuff": 0.25}, {}]


def test_a_broken_run_is_told_with_its_reason(runs: Path) -> None:
    (runs / "late" / "metrics.json").write_text("[]")
    found = list_runs(runs)
    assert [row.name for row in found.rows] == ["group/early"]
    assert set(found.broken) == {"half", "late"}
    assert "has no classes.json" in found.broken["half"]
    assert "metrics.json" in found.broken["late"]
    assert any(sentence.startswith("half is no whole run: ") for sentence in found.sentences())


def test_few_differences_get_columns_and_the_table_fits(runs: Path) -> None:
    shown = text(list_runs(runs))
    assert "seed" in shown
    assert "3 of 600" in shown
    assert "50.0" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_of_many_differences_each_run_shows_its_own(runs: Path) -> None:
    base = scenes()
    schedule = replace(base.train, steps=7, momentum=0.5, workers=9, clip_norm=3.0)
    write_run(runs / "odd", replace(base, train=schedule, inference=replace(base.inference, score_threshold=0.9)), step=7)
    write_run(runs / "third", base, step=1)
    found = list_runs(runs)
    rows = {row.name: row for row in found.rows}
    assert found.usual["train.steps"] == 600
    shown = " ".join(text(found, width=220).split())
    assert "steps 7, momentum 0.5, clip_norm 3, inference.score_threshold 0.9" in shown
    assert "third boxes A 1 of 600" in shown
    assert set(rows) == {"group/early", "late", "odd", "third"}
    assert max(map(len, text(found).splitlines())) <= 100


@pytest.mark.parametrize("width", [30, 40, 50])
def test_a_narrow_terminal_loses_no_name(runs: Path, width: int) -> None:
    words = {word.rstrip(",") for word in text(list_runs(runs), width=width).split()}
    assert {"group/early", "late", "network", "boxes", "50.0", "25.0"} <= words


def test_a_copy_to_give_away_is_none_at_step_0_and_what_is_unfinished_waits_for_no_scores(runs: Path) -> None:
    write_run(runs / "given", scenes(), step=0, finished=True, pq=0.25)
    RunFolder(runs / "given").log.unlink()
    found = list_runs(runs)
    assert {row.name: row.step for row in found.rows} == {"group/early": 600, "late": 3, "given": None}
    assert "copy" in text(found)
    assert not any("evaluate" in sentence for sentence in found.sentences())
    (runs / "given" / "metrics.json").unlink()
    assert list_runs(runs).sentences()[-1] == "1 finished run not evaluated yet (given): unipan evaluate RUN."


def test_settings_that_change_no_result_have_no_column(runs: Path) -> None:
    base = scenes()
    write_run(runs / "many", replace(base, train=replace(base.train, workers=9)), step=1)
    assert "workers" not in text(list_runs(runs))
    assert "train.workers" in list_runs(runs).differing


def test_a_folder_of_runs_that_is_a_run_is_one(runs: Path) -> None:
    assert [row.name for row in list_runs(runs / "late").rows] == ["late"]


@pytest.mark.parametrize("name", ["notes", "nowhere"])
def test_a_folder_without_runs_is_refused(name: str, runs: Path) -> None:
    with pytest.raises(InputError, match=name):
        list_runs(runs / name)


def test_the_verb_prints_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["runs", str(runs), "--json"])
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 2
