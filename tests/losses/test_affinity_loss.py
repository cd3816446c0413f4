"""Classes 0 and 3 are stuff, 1 and 2 things; drawings as in the panoptic loss's test, one mark for each cell."""

from math import exp, log

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import VOID
from unipan.losses.affinity import FIRST_THING, SCALE, affinity_terms, membership_losses, true_cells
from unipan.losses.pixels import IGNORE
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


def loop_losses(features: Tensor, segments: list[int]) -> list[float]:
    """Segment by segment and cell by cell, in Python."""
    ids = sorted(set(segments))
    descriptors = [features[[i for i, own in enumerate(segments) if own == segment]].mean(0) for segment in ids]
    means = []
    for place, segment in enumerate(ids):
        own = [i for i in range(len(segments)) if segments[i] == segment]
        odds = [[exp(SCALE * (features[i] @ d).item() / features.shape[1] ** 0.5) for d in descriptors] for i in own]
        means.append(sum(-log(cell[place] / sum(cell)) for cell in odds) / len(own))
    return means


def test_the_truth_of_cells_is_their_middle_pixel_s() -> None:
    target = draw("..a#", " bb_")
    segments = true_cells(target, 2, 4, stuff=STUFF)
    assert segments.tolist() == [0, 0, FIRST_THING, IGNORE, IGNORE, FIRST_THING + 1, FIRST_THING + 1, 3]


def test_a_last_cell_that_the_image_fills_by_a_pixel_alone() -> None:
    target = draw("a.")
    cut = Target(boxes=target.boxes, labels=target.labels, instances=target.instances[:1, :5], semantic=target.semantic[:1, :5])
    assert true_cells(cut, 1, 2, stuff=STUFF).tolist() == [FIRST_THING, 0]


@pytest.mark.parametrize("segments", [[0, 0, 300, 300, 301, 3], [0, 3], [300, 301], [5]])
def test_losses_are_those_of_loops(segments: list[int]) -> None:
    torch.manual_seed(0)
    features = torch.randn(len(segments), 6, dtype=torch.float64)
    assert membership_losses(features, torch.tensor(segments)).tolist() == pytest.approx(loop_losses(features, segments))


def test_a_large_segment_weighs_as_much_as_a_small_one() -> None:
    """Each cell of the grass twice: nothing changes."""
    torch.manual_seed(0)
    features, segments = torch.randn(5, 6), torch.tensor([0, 0, 300, 301, 301])
    more = torch.tensor([0, 1, 0, 1, 2, 3, 4])
    torch.testing.assert_close(membership_losses(features[more], segments[more]), membership_losses(features, segments))


def test_features_of_instances_cost_next_to_nothing_and_features_of_classes_much() -> None:
    target = draw("..aa", "ccbb")
    segments = true_cells(target, 2, 4, stuff=STUFF)
    apart = F.one_hot(segments.unique(return_inverse=True)[1], 8).double() * 2
    by_class = F.one_hot(torch.tensor([0, 0, 1, 1, 1, 1, 2, 2]), 8).double() * 2
    losses = [affinity_terms([q.T.reshape(8, 2, 4)], [target], stuff=STUFF)["affinity"].mean.item() for q in (apart, by_class)]
    assert losses[0] < 1e-3
    assert losses[1] == pytest.approx(log(2) / 2, abs=1e-3)  # a and c are of one class: of four segments two are drawn by lot


def test_segments_of_all_images_count_alike_and_void_and_crowds_not_at_all() -> None:
    torch.manual_seed(0)
    targets = [draw("..a", "cc_"), draw("   ", "###"), draw("bbb", "bbb")]
    features = [torch.randn(4, 2, 3, requires_grad=True) for _ in targets]
    term = affinity_terms(features, targets, stuff=STUFF)["affinity"]
    assert term.count == 4 + 0 + 1
    single = [affinity_terms([q], [t], stuff=STUFF)["affinity"].sum for q, t in zip(features, targets, strict=True)]
    torch.testing.assert_close(term.sum, single[0] + single[2])
    term.mean.backward()
    assert all(q.grad is not None and q.grad.isfinite().all() for q in features)
