"""Classes 0 and 3 are stuff, 1 and 2 things; drawings as in the panoptic loss's test, one mark for each cell."""

from math import exp, log

import pytest
import torch
from torch import Tensor

from unipan.classes import VOID
from unipan.losses.affinity import FIRST_THING, affinity_terms, membership_loss, true_cells
from unipan.losses.pixels import IGNORE
from unipan.ops.propagation import LOG_ODDS_OFFSET, LOG_ODDS_SCALE, affinity_log_odds
from unipan.types import Target

STUFF = (0, 3)
CLASS_OF = {".": 0, "_": 3, "#": 1, " ": VOID, "a": 1, "b": 2, "c": 1}


def draw(*rows: str) -> Target:
    """Each mark fills a cell, 4 x 4 pixels."""
    things = sorted({mark for row in rows for mark in row if mark.isalpha()})
    semantic = torch.tensor([[CLASS_OF[mark] for mark in row] for row in rows], dtype=torch.uint8)
    instances = torch.tensor([[things.index(mark) if mark in things else -1 for mark in row] for row in rows], dtype=torch.int32)
    labels = torch.tensor([CLASS_OF[mark] for mark in things]).long()
    semantic, instances = (x.repeat_interleave(4, 0).repeat_interleave(4, 1) for x in (semantic, instances))
    return Target(boxes=torch.zeros(len(things), 4), labels=labels, instances=instances, semantic=semantic)


def log_odds(one: Tensor, other: Tensor) -> float:
    return LOG_ODDS_SCALE * (one @ other).item() / len(one) ** 0.5 - LOG_ODDS_OFFSET


def loop_loss(features: Tensor, segments: list[int], classes: list[int]) -> float:
    """Segment by segment and cell by cell, in Python."""
    means = []
    for segment in set(segments):
        own = [i for i in range(len(segments)) if segments[i] == segment]
        rivals = [i for i in range(len(segments)) if i not in own and classes[i] == classes[own[0]]]
        others = [i for i in range(len(segments)) if i not in own and i not in rivals]
        descriptor = features[own].mean(0)
        for kind in (own, rivals, others):
            odds = [log_odds(features[i], descriptor) for i in kind]
            if kind:
                means.append(sum(log(1 + exp(-odd if kind is own else odd)) for odd in odds) / len(kind))
    return sum(means) / len(means)


def test_the_truth_of_cells_is_their_middle_pixel_s() -> None:
    target = draw("..a#", " bb_")
    segments, classes = true_cells(target, 2, 4, stuff=STUFF)
    assert segments.tolist() == [0, 0, FIRST_THING, IGNORE, IGNORE, FIRST_THING + 1, FIRST_THING + 1, 3]
    assert classes.tolist() == [0, 0, 1, 1, VOID, 2, 2, 3]


def test_a_last_cell_that_the_image_fills_by_a_pixel_alone() -> None:
    target = draw("a.")
    cut = Target(boxes=target.boxes, labels=target.labels, instances=target.instances[:1, :5], semantic=target.semantic[:1, :5])
    assert true_cells(cut, 1, 2, stuff=STUFF)[0].tolist() == [FIRST_THING, 0]


@pytest.mark.parametrize("segments", [[0, 0, 300, 300, 301, 3], [0, 3], [300, 301], [5]])
def test_the_loss_is_that_of_loops(segments: list[int]) -> None:
    torch.manual_seed(0)
    features, classes = torch.randn(len(segments), 6, dtype=torch.float64), [min(segment, 300) for segment in segments]
    loss = membership_loss(features, torch.tensor(segments), torch.tensor(classes))
    assert loss.item() == pytest.approx(loop_loss(features, segments, classes), rel=1e-9)


def test_log_odds() -> None:
    torch.manual_seed(0)
    features, others = torch.randn(3, 6, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    expected = [[log_odds(one, other) for other in others] for one in features]
    torch.testing.assert_close(affinity_log_odds(features, others), torch.tensor(expected, dtype=torch.float64))


def test_a_large_segment_weighs_as_much_as_a_small_one() -> None:
    """Each cell of the grass twice: nothing changes."""
    torch.manual_seed(0)
    features, segments, classes = torch.randn(5, 6), torch.tensor([0, 0, 300, 301, 301]), torch.tensor([0, 0, 7, 7, 7])
    more = torch.tensor([0, 1, 0, 1, 2, 3, 4])
    once, twice = (membership_loss(features[i], segments[i], classes[i]) for i in (torch.arange(5), more))
    torch.testing.assert_close(once, twice)


def test_features_that_tell_segments_apart_cost_next_to_nothing() -> None:
    target = draw("..aa", "ccbb")
    segments, _ = true_cells(target, 2, 4, stuff=STUFF)
    apart = torch.nn.functional.one_hot(segments.unique(return_inverse=True)[1], 8).double() * 3
    by_class = torch.nn.functional.one_hot(torch.tensor([0, 0, 1, 1, 1, 1, 2, 2]), 8).double() * 3
    losses = [affinity_terms([q.T.reshape(8, 2, 4)], [target], stuff=STUFF)["affinity"].mean.item() for q in (apart, by_class)]
    assert losses[0] < 0.02
    assert losses[1] > 0.5  # a and c are of one class, and taken for one thing


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
