"""Classes 0 and 3 are stuff, 1 and 2 things; drawings as in the panoptic loss's test, one mark for each cell."""

from math import exp, log

import pytest
import torch
from torch import Tensor

from unipan.classes import VOID
from unipan.losses.affinity import FIRST_THING, NEAR, SAMPLED_CELLS, affinity_terms, pair_loss, sample_cells, true_cells
from unipan.losses.pixels import IGNORE
from unipan.ops.propagation import PAIR_OFFSET, PAIR_SCALE, pair_log_odds
from unipan.types import Target

STUFF = (0, 3)
CLASS_OF = {".": 0, "_": 3, "#": 1, " ": VOID, "a": 1, "b": 2, "c": 1}


def draw(*rows: str, seed: int = 0) -> Target:
    """Each mark fills a cell, 4 x 4 pixels."""
    things = sorted({mark for row in rows for mark in row if mark.isalpha()})
    semantic = torch.tensor([[CLASS_OF[mark] for mark in row] for row in rows], dtype=torch.uint8)
    instances = torch.tensor([[things.index(mark) if mark in things else -1 for mark in row] for row in rows], dtype=torch.int32)
    labels = torch.tensor([CLASS_OF[mark] for mark in things]).long()
    semantic, instances = (x.repeat_interleave(4, 0).repeat_interleave(4, 1) for x in (semantic, instances))
    return Target(boxes=torch.zeros(len(things), 4), labels=labels, instances=instances, semantic=semantic, seed=seed)


def log_odds(one: Tensor, other: Tensor) -> float:
    return PAIR_SCALE * (one @ other).item() / len(one) ** 0.5 - PAIR_OFFSET


def loop_loss(features: Tensor, segments: list[int], classes: list[int], places: Tensor) -> float:
    """Pair by pair, in Python."""
    sums: dict[str, float] = {}
    weights: dict[str, float] = {}
    for i in range(len(segments)):
        for j in range(len(segments)):
            same = segments[i] == segments[j]
            kind = "same" if same else "rivals" if classes[i] == classes[j] else "others"
            weight = 1 / (1 + (places[i] - places[j]).norm().item() / NEAR)
            odds = log_odds(features[i], features[j])
            sums[kind] = sums.get(kind, 0.0) + weight * log(1 + exp(-odds if same else odds))
            weights[kind] = weights.get(kind, 0.0) + weight
    return sum(sums[kind] / weights[kind] for kind in sums) / len(sums)


def test_the_truth_of_cells_is_their_middle_pixel_s() -> None:
    target = draw("..a#", " bb_")
    segments, classes = true_cells(target, 2, 4, stuff=STUFF)
    assert segments.tolist() == [0, 0, FIRST_THING, IGNORE, IGNORE, FIRST_THING + 1, FIRST_THING + 1, 3]
    assert classes.tolist() == [0, 0, 1, 1, VOID, 2, 2, 3]


def test_a_last_cell_that_the_image_fills_by_a_pixel_alone() -> None:
    target = draw("a.")
    cut = Target(boxes=target.boxes, labels=target.labels, instances=target.instances[:1, :5], semantic=target.semantic[:1, :5])
    assert true_cells(cut, 1, 2, stuff=STUFF)[0].tolist() == [FIRST_THING, 0]


def test_half_of_the_cells_come_from_things() -> None:
    segments = torch.cat([torch.zeros(5000), torch.full((4000,), float(IGNORE)), torch.full((600,), FIRST_THING)]).long()
    drawn = sample_cells(segments, seed=3)
    assert len(drawn) == len(drawn.unique()) == SAMPLED_CELLS
    assert (segments[drawn] >= FIRST_THING).sum() == SAMPLED_CELLS // 2
    assert (segments[drawn] != IGNORE).all()
    assert torch.equal(drawn, sample_cells(segments, seed=3))
    assert not torch.equal(drawn, sample_cells(segments, seed=4))
    assert sample_cells(segments[5000:], seed=3).min() >= 4000  # no stuff, so all the rest are void


@pytest.mark.parametrize("segments", [[0, 0, 300, 300, 301, 3], [0, 3], [300, 301], [5]])
def test_the_loss_is_that_of_a_loop_over_pairs(segments: list[int]) -> None:
    torch.manual_seed(0)
    features, places = torch.randn(len(segments), 6, dtype=torch.float64), torch.rand(len(segments), 2, dtype=torch.float64) * 30
    classes = [min(segment, 300) for segment in segments]
    loss = pair_loss(features, torch.tensor(segments), torch.tensor(classes), places)
    assert loss.item() == pytest.approx(loop_loss(features, segments, classes, places), rel=1e-9)


def test_log_odds_of_pairs() -> None:
    torch.manual_seed(0)
    features = torch.randn(3, 6, dtype=torch.float64)
    expected = [[log_odds(one, other) for other in features] for one in features]
    torch.testing.assert_close(pair_log_odds(features), torch.tensor(expected, dtype=torch.float64))


def test_features_that_tell_segments_apart_cost_next_to_nothing() -> None:
    target = draw("..aa", "ccbb")
    segments, _ = true_cells(target, 2, 4, stuff=STUFF)
    apart = torch.nn.functional.one_hot(segments.unique(return_inverse=True)[1], 8).double() * 3
    by_class = torch.nn.functional.one_hot(torch.tensor([0, 0, 1, 1, 1, 1, 2, 2]), 8).double() * 3
    losses = [affinity_terms([q.T.reshape(8, 2, 4)], [target], stuff=STUFF)["affinity"].mean.item() for q in (apart, by_class)]
    assert losses[0] < 0.02
    assert losses[1] > 5  # a and c are of one class, and taken for one thing


def test_images_count_alike_and_those_without_truth_not_at_all() -> None:
    torch.manual_seed(0)
    targets = [draw("..a", "cc_"), draw("   ", "###"), draw("bbb", "bbb")]
    features = [torch.randn(4, 2, 3, requires_grad=True) for _ in targets]
    term = affinity_terms(features, targets, stuff=STUFF)["affinity"]
    assert term.count == 2
    single = [affinity_terms([q], [t], stuff=STUFF)["affinity"].sum for q, t in zip(features, targets, strict=True)]
    torch.testing.assert_close(term.sum, single[0] + single[2])
    term.mean.backward()
    assert all(q.grad is not None and q.grad.isfinite().all() for q in features)
