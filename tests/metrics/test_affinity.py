from math import isnan

import pytest
import torch

from unipan.metrics.affinity import MARKED_CELLS, AffinityCounts, affinity_counts
from unipan.metrics.units import UNITS

THINGS = torch.tensor([0, 0, 0, 1, 1, 2, -1, -1])
LABELS = torch.tensor([4, 4, 5])
"""Things 0 and 1 are of one class; thing 2 has no rival."""


def of_things(*vectors: list[float]) -> torch.Tensor:
    """Each cell has its thing's vector, the last one where there is none."""
    return torch.tensor(vectors)[THINGS]


def test_features_of_instances_tell_all_apart() -> None:
    shares = affinity_counts(of_things([1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]), THINGS, LABELS).shares()
    assert isnan(shares.pop("pixels_told_apart"))
    assert shares == {
        "told_apart": 1.0,
        "told_apart_by_chance": 0.5,
        "affinity_on_own": 1.0,
        "area_of_own": pytest.approx((3 * 3 + 2 * 2 + 1) / 8 / 6),
    }


def test_features_of_classes_tell_none_apart() -> None:
    """Of equal products the first thing is taken: three cells of five. Their affinity falls on both things alike."""
    counts = affinity_counts(of_things([1, 0], [1, 0], [0, 1], [0, 0]), THINGS, LABELS)
    assert (counts.rival_cells, counts.distinguished, counts.marked) == (5, 3, 6)
    assert counts.own / UNITS == pytest.approx(3 * 3 / 5 + 2 * 2 / 5 + 1)


def test_negative_affinity_is_none() -> None:
    counts = affinity_counts(of_things([1.0], [-1.0], [1.0], [-1.0]), THINGS, LABELS)
    assert counts.own / UNITS == pytest.approx(3 * 3 / 4 + 2 * 2 / 4 + 1 / 4)
    assert counts.distinguished == 5


def test_one_mistaken_cell() -> None:
    features = of_things([1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]).clone()
    features[0] = torch.tensor([0.0, 1.0, 0.0])
    assert affinity_counts(features, THINGS, LABELS).distinguished == 4


def test_counts_add_and_nothing_is_nan() -> None:
    one = affinity_counts(torch.rand(8, 3), THINGS, LABELS)
    none = affinity_counts(torch.rand(4, 3), torch.full((4,), -1), LABELS[:0])
    assert none == AffinityCounts()
    assert one + none == one
    assert (one + one).shares() == pytest.approx(one.shares(), rel=0, abs=0, nan_ok=True)
    assert all(isnan(share) for share in none.shares().values())


def test_a_hidden_thing_has_no_cells() -> None:
    """Things between the cells' middles: no rival, and nothing is divided by it."""
    things = torch.tensor([0, 0, -1])
    counts = affinity_counts(torch.rand(3, 2), things, torch.tensor([1, 1]))
    assert (counts.rival_cells, counts.marked) == (0, 2)


def test_of_many_cells_some_are_marked() -> None:
    counts = affinity_counts(torch.ones(1000, 2), torch.zeros(1000).long(), torch.tensor([1]))
    assert counts.marked == MARKED_CELLS
    assert counts.shares()["affinity_on_own"] == pytest.approx(1)
