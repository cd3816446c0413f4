"""Classes 0 and 3 are stuff, 1 and 2 things; drawings as in the panoptic loss's test, one mark for each cell."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import VOID
from unipan.losses.affinity import (
    NEAR_PX,
    SCALE,
    affinity_terms,
    pixel_weights,
    rival_loss,
    segment_logits,
    thing_classes,
    true_segments,
)
from unipan.losses.pixels import IGNORE
from unipan.ops.upsample import upsample_logits
from unipan.types import Target

STUFF = (0, 3)
CLASS_OF = {".": 0, "_": 3, "#": 1, " ": VOID, "a": 1, "b": 2, "c": 1, "d": 1}


def draw(*rows: str) -> Target:
    """Each mark fills a cell, 4 x 4 pixels."""
    things = sorted({mark for row in rows for mark in row if mark.isalpha()})
    semantic = torch.tensor([[CLASS_OF[mark] for mark in row] for row in rows], dtype=torch.int16)
    instances = torch.tensor([[things.index(mark) if mark in things else -1 for mark in row] for row in rows], dtype=torch.int32)
    labels = torch.tensor([CLASS_OF[mark] for mark in things]).long()
    semantic, instances = (x.repeat_interleave(4, 0).repeat_interleave(4, 1) for x in (semantic, instances))
    return Target(boxes=torch.zeros(len(things), 4), labels=labels, instances=instances, semantic=semantic)


def loop_logits(features: Tensor, segments: Tensor) -> Tensor:
    """(G, H, W), segment by segment and pixel by pixel, in Python."""
    height, width = segments.shape
    ids = [segment for segment in segments.unique().tolist() if segment != IGNORE]
    rows, columns = features.shape[1:]
    share = [[[0.0] * columns for _ in range(rows)] for _ in ids]
    for y, x in product(range(height), range(width)):
        cell = segments[4 * (y // 4) : 4 * (y // 4) + 4, 4 * (x // 4) : 4 * (x // 4) + 4]
        if segments[y, x] != IGNORE:
            share[ids.index(int(segments[y, x]))][y // 4][x // 4] += 1 / cell.numel()
    weights = torch.tensor(share, dtype=features.dtype)
    evidence = []
    for own in weights:
        descriptor = (features * own).sum((1, 2)) / own.sum()
        evidence.append((features * descriptor[:, None, None]).sum(0) / len(features) ** 0.5)
    return upsample_logits(SCALE * torch.stack(evidence), (height, width))


def loop_loss(logits: Tensor, segments: Tensor, among: list[int], weights: Tensor) -> tuple[float, float]:
    """Weighted sum of the cross-entropies, among these segments alone, of their own pixels, and the sum of the weights."""
    total, weight = 0.0, 0.0
    for y, x in product(range(segments.shape[0]), range(segments.shape[1])):
        if int(segments[y, x]) in among:
            own = logits[among, y, x].log_softmax(0)[among.index(int(segments[y, x]))]
            total, weight = total - float(weights[y, x] * own), weight + float(weights[y, x])
    return total, weight


def loop_weights(segments: Tensor) -> list[list[float]]:
    """Pixel by pixel, over all others."""
    height, width = segments.shape
    weights = [[0.0] * width for _ in range(height)]
    for y, x in product(range(height), range(width)):
        if segments[y, x] != IGNORE:
            near = segments[max(y - NEAR_PX, 0) : y + NEAR_PX + 1, max(x - NEAR_PX, 0) : x + NEAR_PX + 1]
            weights[y][x] = 1 / min(int((segments == one).sum()) for one in near.unique().tolist() if one != IGNORE)
    return weights


def test_the_truth_of_pixels() -> None:
    target = draw("..a#", " bb_")
    segments = true_segments(target, stuff=STUFF)[::4, ::4]  # grass, sand, a and b are segments 0 to 3
    assert segments.tolist() == [[0, 0, 2, IGNORE], [IGNORE, 3, 3, 1]]


@pytest.mark.parametrize("size", [(8, 16), (7, 13), (5, 16)])
def test_logits_are_those_of_loops(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    whole = true_segments(draw("..a#", " bb_"), stuff=STUFF).roll((1, 2), (0, 1))  # cells are shared between segments
    segments = whole[: size[0], : size[1]]
    features = torch.randn(6, 2, 4, dtype=torch.float64)
    torch.testing.assert_close(segment_logits(features, segments), loop_logits(features, segments))


def test_the_terms_are_the_mean_among_all_and_the_mean_among_rivals() -> None:
    """Grass, sand, a, b, c and d are segments 0 to 5; a, c and d are of one class, b has no rival."""
    torch.manual_seed(0)
    target = draw("..a#d", " bb_c", "ccb_c")
    segments, features = true_segments(target, stuff=STUFF), torch.randn(6, 3, 5, dtype=torch.float64)
    logits, weights = loop_logits(features, segments), pixel_weights(segments).double()
    (all_sum, all_weight), (sum_, weight) = (loop_loss(logits, segments, among, weights) for among in ([*range(6)], [2, 4, 5]))
    expected = {"affinity": all_sum / all_weight, "affinity_rivals": sum_ / weight}
    for among_all, rivals in product((False, True), repeat=2):
        terms = affinity_terms([features], [target], [None], stuff=STUFF, among_all=among_all, rivals=rivals)
        wanted = {name for name, on in zip(expected, (among_all, rivals), strict=True) if on}
        assert {name: term.mean.item() for name, term in terms.items()} == pytest.approx(
            {name: expected[name] for name in wanted}
        )


def test_classes_of_things() -> None:
    target = draw("..a#", " bb_")
    assert thing_classes(true_segments(target, stuff=STUFF), target).tolist() == [IGNORE, IGNORE, 1, 2]


def test_rivals_of_each_class_count_by_their_pixels() -> None:
    """Two classes of two things each, and one of one; without two of any class there is nothing to tell apart."""
    torch.manual_seed(0)
    segments = torch.tensor([[0, 0, 1, 2, 3, 4, IGNORE]])
    logits, weights = torch.randn(5, 1, 7, dtype=torch.float64), torch.rand(1, 7, dtype=torch.float64)
    sums = [loop_loss(logits, segments, among, weights) for among in ([0, 2], [1, 4])]
    found = rival_loss(logits, segments, torch.tensor([5, 6, 5, 7, 6]), weights)
    assert found.item() == pytest.approx((sums[0][0] + sums[1][0]) / (sums[0][1] + sums[1][1]))
    assert rival_loss(logits, segments, torch.tensor([5, 6, IGNORE, 7, IGNORE]), weights) == 0


def test_weights_are_those_of_loops() -> None:
    whole = true_segments(draw("..a##....", ". bb_....", "....._c..", "........."), stuff=STUFF)
    segments = whole.roll((1, 2), (0, 1))[:15, :34]
    torch.testing.assert_close(pixel_weights(segments), torch.tensor(loop_weights(segments)))


def test_on_both_sides_of_an_outline_pixels_count_the_same() -> None:
    segments = true_segments(draw("........", "...a....", "........", "........"), stuff=STUFF)
    weights = pixel_weights(segments)
    near = torch.zeros_like(segments, dtype=torch.bool)
    near[0 : 8 + NEAR_PX, 12 - NEAR_PX : 16 + NEAR_PX] = True
    assert torch.equal(weights[near].unique(), torch.tensor([1 / 16]))
    assert torch.equal(weights[~near].unique(), torch.tensor([1 / (32 * 16 - 16)]))


def test_features_of_instances_cost_little_and_features_of_classes_much() -> None:
    target = draw("..aa", "ccbb")
    apart = F.one_hot(torch.tensor([[0, 0, 1, 1], [2, 2, 3, 3]]), 8).movedim(-1, 0).double() * 3
    by_class = F.one_hot(torch.tensor([[0, 0, 1, 1], [1, 1, 2, 2]]), 8).movedim(-1, 0).double() * 3
    losses = [
        affinity_terms([q], [target], [None], stuff=STUFF, among_all=True, rivals=False)["affinity"].mean.item()
        for q in (apart, by_class)
    ]
    assert losses[0] < 0.2
    assert losses[1] > losses[0] + 0.3  # a and c are of one class: of four segments two are drawn by lot


def test_segments_of_all_images_count_alike_and_void_and_crowds_not_at_all() -> None:
    torch.manual_seed(0)
    targets = [draw("..a", "cc_"), draw("   ", "###"), draw("bbb", "bbb")]
    features = [torch.randn(4, 2, 3, requires_grad=True) for _ in targets]
    term = affinity_terms(features, targets, [None] * 3, stuff=STUFF, among_all=True, rivals=False)["affinity"]
    assert term.count == 4 + 0 + 1
    single = [
        affinity_terms([q], [t], [None], stuff=STUFF, among_all=True, rivals=False)["affinity"].sum
        for q, t in zip(features, targets, strict=True)
    ]
    torch.testing.assert_close(term.sum, single[0] + single[2])
    term.mean.backward()
    assert all(q.grad is not None and q.grad.isfinite().all() for q in features)
