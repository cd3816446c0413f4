"""Ablations on a tiny budget: what is trained, what is reused, and what a row says."""

from dataclasses import replace
from pathlib import Path

import methods
import numpy as np
import pytest
import torch
from ablation import COLUMNS, VARIANTS, Ablation, ablate, variant_config
from judge import Judged

from unipan.classes import VOID_ID, ClassTable
from unipan.config import Config, DataConfig
from unipan.data.build import validation_dataset
from unipan.errors import InputError
from unipan.metrics.affinity import AffinityCounts
from unipan.metrics.pq import PQCounts, count, quality
from unipan.metrics.units import UNITS
from unipan.predictor import load
from unipan.recipes.evaluation.affinity import things_of_cells
from unipan.recipes.tables import trials
from unipan.settings import with_values
from unipan.types import PanopticMap, Segment


@pytest.fixture(scope="module")
def base(tiny_config: Config) -> Config:
    return replace(tiny_config, train=replace(tiny_config.train, steps=1, decay_steps=()))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ablation")


@pytest.fixture(scope="module")
def selecting(base: Config) -> Config:
    return replace(base, data=replace(base.data, val_seed=7))


@pytest.fixture(scope="module")
def ablation(base: Config, selecting: Config, out: Path) -> Ablation:
    return ablate(["bare", "taught-existence"], base, out, [3], selecting.data)


def test_a_row_for_each_head_of_each_variant(ablation: Ablation, out: Path, selecting: Config) -> None:
    table = ablation.table()
    heads = ("unified", "upsnet", "heuristic")
    assert list(table) == [f"{name}, {head}" for name in ("bare", "taught-existence") for head in heads]
    assert {len(row) for row in table.values()} == {len(COLUMNS)}
    assert table["bare, unified"][-1] == "-"
    page = (out / f"ablation-standard-7-{selecting.inference.score_threshold:g}.md").read_text()
    assert page == ablation.markdown()
    assert f"{selecting.data.val_scenes} standard scenes of seed 7" in page


def test_figures_are_of_the_scenes_to_choose_on(ablation: Ablation, selecting: Config, out: Path) -> None:
    predictor, dataset = load(out / "bare-seed3"), validation_dataset(selecting.data)
    samples = [dataset[index] for index in range(len(dataset))]
    counts = [count(predictor(sample.image, head="heuristic"), sample.truth, len(dataset.classes)) for sample in samples]
    total = sum(counts, PQCounts.zero(len(dataset.classes)))
    row = ablation.table()["bare, heuristic"]
    assert row[0] == f"{100 * quality(total, dataset.classes).all.pq:.1f}"
    assert row[6] == f"{float(total.missed[list(dataset.classes.things)].sum()):.1f}"


def test_finished_runs_and_judgements_are_reused(
    ablation: Ablation, base: Config, selecting: Config, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained or judged again")

    monkeypatch.setattr(trials, "train", refuse)
    monkeypatch.setattr(trials, "Predictor", refuse)
    again = ablate(["bare", "taught-existence"], base, out, [3], selecting.data)
    assert again.markdown() == ablation.markdown()


def test_each_head_is_read_as_suits_it_best_on_the_average_of_seeds(base: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    classes = validation_dataset(base.data).classes
    matched: dict[str, dict[methods.Reading, tuple[int, int]]] = {  # of ten segments a class, by threshold and NMS; two seeds
        "unified": {(0.15, 0.3): (5, 5), (0.15, 0.6): (9, 0), (0.3, 0.3): (6, 5), (0.3, 0.6): (4, 8)},
        "heuristic": {(0.15, 0.3): (5, 6), (0.15, 0.6): (5, 5), (0.3, 0.3): (4, 4), (0.3, 0.6): (3, 5)},
    }

    def found(run: Path, base: Config, on: DataConfig, reading: methods.Reading) -> Judged:
        of_heads = {head: [counts(best[reading][int(run.name)])] for head, best in matched.items()}
        return Judged(of_heads, AffinityCounts())  # pyright: ignore[reportArgumentType]

    def counts(number: int) -> PQCounts:
        ones = np.ones(len(classes), np.int64)
        return PQCounts(iou_units=number * UNITS * ones, matched=number * ones, extra=0 * ones, missed=(10 - number) * ones)

    monkeypatch.setattr(methods, "read", found)
    monkeypatch.setattr(methods, "THRESHOLDS", (0.15, 0.3))
    best = methods.best_readings([Path("0"), Path("1")], base, base.data, classes, (0.3, 0.6))
    assert best == {"unified": (0.3, 0.6), "heuristic": (0.15, 0.3)}


def test_every_variant_is_a_valid_change(base: Config) -> None:
    configs = {name: variant_config(name, base, seed=4) for name in VARIANTS}
    assert configs["preset"] == replace(base, train=replace(base.train, seed=4))
    assert all(config.train.seed == 4 for config in configs.values())
    assert configs["taught"].loss.affinity == 0.5
    with pytest.raises(InputError, match="nonsense"):
        variant_config("nonsense", base, seed=0)
    with pytest.raises(InputError, match="wide"):
        with_values(base, {"model.detector.wide": 1})


def test_the_things_of_cells_at_another_size() -> None:
    """An image of 4 x 6 pixels that the network sees as 8 x 12: cells of 2 x 2 pixels, their middles at 1 and 3, and 1, 3, 5."""
    ids = torch.full((4, 6), VOID_ID, dtype=torch.int32)
    ids[1, 1], ids[3, 3], ids[1, 5] = 8, 9, 4
    classes = ClassTable.from_categories([{"id": i, "name": f"c{i}", "isthing": 1} for i in range(5)])
    named = {8: (True, False), 9: (True, True), 4: (True, False)}
    segments = [
        Segment(id=i, class_index=i % 5, category_id=i % 5, name="", is_thing=thing, is_crowd=crowd, area=1, box=(0, 0, 1, 1))
        for i, (thing, crowd) in named.items()
    ]
    things, labels = things_of_cells(PanopticMap(ids, tuple(segments), classes), (2, 3), (8, 12))
    assert things.tolist() == [0, -1, 1, -1, -1, -1]
    assert labels.tolist() == [3, 4]
