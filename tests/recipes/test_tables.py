"""The paper's tables on a tiny budget: what is trained, what is reused, and what the figures are."""

import json
import shutil
from dataclasses import replace
from math import isnan, nan
from pathlib import Path
from statistics import stdev
from types import SimpleNamespace

import pytest
import torch

from unipan.cli import main
from unipan.config import Config
from unipan.console import results
from unipan.errors import InputError
from unipan.recipes.evaluate import evaluate
from unipan.recipes.tables import trials
from unipan.recipes.tables.make import Figure, FilledTable, make_table
from unipan.recipes.tables.methods import method_config
from unipan.recipes.tables.paper_tables import LETTERS, Measured, paper_table
from unipan.recipes.train import train


@pytest.fixture(scope="module")
def base(tiny_config: Config) -> Config:
    return replace(tiny_config, train=replace(tiny_config.train, steps=2, decay_steps=()))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def table_c(base: Config, out: Path) -> FilledTable:
    return make_table("c", base, out, [0, 3])


def test_figures_are_the_evaluations_of_each_seed(table_c: FilledTable, out: Path) -> None:
    labels = [label for label, _ in table_c.rows]
    assert labels[:3] == ["ground truth", "predicted", "predicted less ground truth"]
    predicted, difference = dict(table_c.rows)["predicted"], dict(table_c.rows)["predicted less ground truth"]
    truth = dict(table_c.rows)["ground truth"]
    for position, seed in enumerate((0, 3)):
        content = evaluate(str(out / f"boxes-seed{seed}")).to_json()
        assert predicted[0].seeds[position] == 100 * content["answer"]["quality"]["all"]["pq"]
        assert predicted[3].seeds[position] == 100 * content["answer"]["semantic_head_iou"]["all"]
        assert difference[0].seeds[position] == predicted[0].seeds[position] - truth[0].seeds[position]
    assert predicted[3].seeds[0] != predicted[3].seeds[1]


def test_the_paper_s_figures_stand_beside(table_c: FilledTable) -> None:
    figures = dict(table_c.rows)["paper, Cityscapes, predicted"]
    assert [str(figure) for figure in figures] == ["59.0", "80.1", "72.4", "77.8", "38.1", "-"]


def test_finished_runs_are_reused(table_c: FilledTable, base: Config, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained or evaluated again")

    monkeypatch.setattr(trials, "train", refuse)
    monkeypatch.setattr(trials, "evaluate_predictor", refuse)
    assert make_table("c", base, out, [0, 3]).markdown() == table_c.markdown() == (out / "table_c.md").read_text()
    content = json.loads((out / "table_c.json").read_text())
    assert content["seeds"] == [0, 3]
    assert content["rows"]["predicted"]["PQ"]["seeds"] == list(dict(table_c.rows)["predicted"][0].seeds)


def test_they_are_evaluated_where_they_are_trained(
    table_c: FilledTable, base: Config, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(next(out.glob("*-seed0")), tmp_path / "run")
    asked: list[str] = []
    monkeypatch.setattr(trials, "find_device", lambda device: asked.append(device) or torch.device("meta"))
    found = SimpleNamespace(to_json=dict)
    monkeypatch.setattr(trials, "evaluate_predictor", lambda predictor, *_: asked.append(predictor.device.type) or found)
    trials.measured(run, replace(base, data=replace(base.data, val_seed=9)), trim=True)
    assert asked == [base.train.device, "meta"]


def test_other_weights_are_evaluated_again(table_c: FilledTable, base: Config, out: Path, tmp_path: Path) -> None:
    for seed in (0, 3):
        for method in ("boxes", "boxes-truth"):
            folder = tmp_path / f"{method}-seed{seed}"
            folder.mkdir()
            for file in (out / folder.name).iterdir():
                if file.is_file():
                    (folder / file.name).write_bytes(file.read_bytes())
    other = tmp_path / "boxes-seed0" / "model.safetensors"
    other.write_bytes((out / "boxes-seed3" / "model.safetensors").read_bytes())
    again = dict(make_table("c", base, tmp_path, [0, 3]).rows)["predicted"]
    assert again[3].seeds[0] == again[3].seeds[1]


def test_a_damaged_measurement_is_taken_again(table_c: FilledTable, base: Config, out: Path) -> None:
    kept = out / "boxes-seed0" / "measured-trimmed.json"
    whole = kept.read_text()
    for damaged in (whole[: len(whole) // 2], "[]", "{}"):
        kept.write_text(damaged)
        assert trials.measured(kept.parent, base, trim=True) == json.loads(whole)["evaluation"]
        assert kept.read_text() == whole


def test_a_stopped_training_goes_on(base: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def note(config: Config, folder: Path, *, resume: bool = False) -> None:
        asked.append(resume)
        train(config, folder, resume=resume)

    config = replace(base, train=replace(base.train, seed=5))
    run = trials.trained_run("boxes", config, tmp_path)
    (run / "model.safetensors").unlink()
    monkeypatch.setattr(trials, "train", note)
    assert trials.trained_run("boxes", config, tmp_path) == run
    assert asked == [True]
    assert (run / "model.safetensors").exists()


def test_a_run_of_other_settings_is_refused(table_c: FilledTable, base: Config, out: Path) -> None:
    longer = replace(base, train=replace(base.train, steps=3))
    with pytest.raises(InputError, match="holds a run of other settings than this table's boxes"):
        make_table("c", longer, out, [0])


def test_refusals(base: Config, tmp_path: Path) -> None:
    untrimmed = replace(base, inference=replace(base.inference, min_stuff_area_px=0))
    with pytest.raises(InputError, match=r"which trims nothing; set --inference\.min-stuff-area-px"):
        make_table("d", untrimmed, tmp_path, [0])
    for seeds in ([], [1, 1], [-1]):
        with pytest.raises(InputError, match="--seeds came as"):
            make_table("a", base, tmp_path, seeds)
    with pytest.raises(InputError, match=r"model\.panoptic is upsnet"):
        make_table("a", method_config("upsnet", base, seed=0), tmp_path, [0])
    assert list(tmp_path.iterdir()) == []


def test_the_other_tables(base: Config, tmp_path: Path) -> None:
    for letter in "abde":
        make_table(letter, base, tmp_path, [0])  # type: ignore[arg-type]
        written = (tmp_path / f"table_{letter}.md").read_text()
        assert written.startswith(f"**Table {letter.upper()}")
        assert "paper" in written
    with_masks = json.loads((tmp_path / "table_e.json").read_text())["rows"]
    assert with_masks["AP mask"]["boxes"]["mean"] is None
    assert with_masks["AP mask"]["masks"]["mean"] is not None
    trimmed = json.loads((tmp_path / "table_d.json").read_text())["rows"]
    assert {"ours, trimmed", "ours, as it is", "UPSNet's head, by trimming"} <= trimmed.keys()


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("variant", ["B", "C"])
def test_ours_is_the_preset_s_own_variant(letter: str, variant: str, base: Config) -> None:
    own = replace(base, model=replace(base.model, masks=True, variant=variant))
    form = paper_table(letter, own)  # type: ignore[arg-type]
    methods = {cell.method for row in form.rows for cell in row.cells if isinstance(cell, Measured)}
    if letter in "bde":
        assert f"masks-{variant.lower()}" in methods
    assert all(len(row.cells) == len(form.columns) for row in form.rows)


def test_mean_and_spread() -> None:
    figure = Figure(seeds=(50.0, 52.0, 57.0))
    assert str(figure) == f"53.0 ± {stdev((50, 52, 57)):.1f}"
    assert str(Figure(seeds=(41.25,))) == "41.2"
    assert str(Figure(seeds=())) == str(Figure(seeds=(nan, 1.0))) == "-"
    assert isnan(Figure(seeds=(1.0,)).spread)


@pytest.mark.parametrize("letter", LETTERS)
def test_three_seeds_fit_eighty_columns(letter: str, base: Config) -> None:
    form = paper_table(letter, base)  # type: ignore[arg-type]
    labels = [*(row.label for row in form.rows), *(label for label, _, _ in form.differences)]
    cells = (Figure(seeds=(60.0, 80.0, 70.0)),) * len(form.columns)
    rows = tuple((label, cells) for label in labels)
    filled = FilledTable(title=form.title, columns=form.columns, rows=rows, notes=(), seeds=(0, 1, 2), settings=base)
    assert results.measure(filled.table()).maximum <= 80


def test_an_unknown_table_or_preset_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for words, sentence in ((["tables", "f"], "there is no table 'f'"), (["tables", "a", "dmo"], "did you mean demo?")):
        with pytest.raises(SystemExit):
            main(words)
        assert sentence in capsys.readouterr().err
