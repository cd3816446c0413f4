"""Classes 0 and 3 are stuff, 1 and 2 things.

In the drawings "." is class 0, "_" class 3, a letter a thing, "#" a crowd of class 1, " " void.
"""

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import VOID
from unipan.losses.panoptic import panoptic_terms, panoptic_truth
from unipan.losses.pixels import IGNORE
from unipan.ops.lovasz import lovasz_softmax
from unipan.terms import Term
from unipan.types import Detections, Outputs, Target

STUFF = (0, 3)
CLASS_OF = {".": 0, "_": 3, "#": 1, " ": VOID, "a": 1, "b": 2, "c": 1}


def draw(*rows: str) -> Target:
    semantic = torch.tensor([[CLASS_OF[mark] for mark in row] for row in rows], dtype=torch.int16)
    things = sorted({mark for row in rows for mark in row if mark.isalpha()})
    instances = torch.tensor([[things.index(mark) if mark in things else -1 for mark in row] for row in rows], dtype=torch.int32)
    boxes = torch.zeros(len(things), 4)
    for index in range(len(things)):
        y, x = (instances == index).nonzero(as_tuple=True)
        boxes[index] = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1])
    return Target(
        boxes=boxes, labels=torch.tensor([CLASS_OF[mark] for mark in things]).long(), instances=instances, semantic=semantic
    )


SCENE = draw(
    "..aa##  ",
    "..aabbb_",
    "ccccbbb_",
)


def truth_of(target: Target, things: Sequence[int], *, void_channel: bool = False) -> Tensor:
    """The truth when the detections are exactly the named true things."""
    index = torch.tensor(things).long()
    return panoptic_truth(target, target.boxes[index], target.labels[index], stuff=STUFF, void_channel=void_channel)


def found(target: Target, things: Sequence[int], cells: Tensor) -> Outputs:
    """Outputs whose detections are the true things in reverse, and whose admitted ones are the named things."""
    backwards = torch.arange(len(target.boxes)).flip(0)
    detections = Detections(target.boxes[backwards], torch.ones(len(backwards)), target.labels[backwards], None)
    admitted = len(backwards) - 1 - torch.tensor(things).long()
    return Outputs([cells], [detections], [admitted], [cells], [cells], [cells], {}, upsampling=[None])


def terms(outputs: Outputs, target: Target, *, void_channel: bool = False) -> dict[str, Term]:
    return panoptic_terms(outputs, [target], stuff=STUFF, void_channel=void_channel, cross_entropy=True, lovasz=True)


def random_cells(channels: int, target: Target) -> Tensor:
    height, width = target.semantic.shape
    generator = torch.Generator().manual_seed(channels)
    return torch.randn(channels, -(-height // 4), -(-width // 4), generator=generator, requires_grad=True)


def test_truth_of_a_drawn_scene() -> None:
    x = IGNORE
    assert truth_of(SCENE, [1, 0]).tolist() == [[0, 0, 3, 3, x, x, x, x], [0, 0, 3, 3, 2, 2, 2, 1], [x, x, x, x, 2, 2, 2, 1]]


def test_unmatched_things_are_the_void_channels_truth() -> None:
    ignoring, voiding = truth_of(SCENE, [1, 0]), truth_of(SCENE, [1, 0], void_channel=True)
    unmatched = SCENE.instances == 2
    assert voiding[unmatched].eq(4).all()
    assert torch.equal(voiding[~unmatched], ignoring[~unmatched])


def test_an_unmatched_detection_keeps_its_channel_and_has_no_pixels() -> None:
    elsewhere = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    channels = panoptic_truth(
        SCENE, torch.cat([elsewhere, SCENE.boxes]), torch.cat([torch.tensor([1]), SCENE.labels]), stuff=STUFF, void_channel=False
    )
    assert sorted(set(channels.flatten().tolist())) == [IGNORE, 0, 1, 3, 4, 5]


@pytest.mark.parametrize("void_channel", [False, True])
def test_permuted_detections_permute_the_channels_and_keep_the_loss(void_channel: bool) -> None:
    cells = random_cells(5 + void_channel, SCENE)
    straight = terms(found(SCENE, [0, 1, 2], cells), SCENE, void_channel=void_channel)
    permuted = cells[[0, 1, 4, 2, 3] + [5] * void_channel]
    turned = terms(found(SCENE, [2, 0, 1], permuted), SCENE, void_channel=void_channel)
    channel_there = torch.tensor([0, 1, 3, 4, 2, IGNORE])
    assert torch.equal(truth_of(SCENE, [2, 0, 1]), channel_there[truth_of(SCENE, [0, 1, 2]).clamp(min=-1)])
    for name, term in straight.items():
        torch.testing.assert_close(turned[name].mean, term.mean)


def test_losses_on_explicit_tensors() -> None:
    cells = random_cells(4, SCENE)
    channels = truth_of(SCENE, [1, 0])
    logits = F.interpolate(cells[None], scale_factor=4, mode="bilinear")[0, :, :3, :8]
    found_terms = terms(found(SCENE, [1, 0], cells), SCENE)
    assert found_terms["panoptic"].count == (channels != IGNORE).sum()
    torch.testing.assert_close(found_terms["panoptic"].mean, F.cross_entropy(logits[None], channels[None]))
    counted = channels != IGNORE
    expected = lovasz_softmax(logits[:, counted].softmax(0), channels[counted])
    torch.testing.assert_close(found_terms["panoptic_lovasz"].mean, expected)


def test_images_of_a_batch_may_have_different_channels() -> None:
    empty = draw("....", "_   ")
    one, other = found(SCENE, [1], random_cells(3, SCENE)), found(empty, [], random_cells(2, empty))
    both = Outputs(*(a + b for a, b in zip(one[:6], other[:6], strict=True)), {}, upsampling=[None, None])  # type: ignore[call-arg]
    joint = panoptic_terms(both, [SCENE, empty], stuff=STUFF, void_channel=False, cross_entropy=True, lovasz=True)
    for name, term in joint.items():
        added = terms(one, SCENE)[name] + terms(other, empty)[name]
        torch.testing.assert_close(term.mean, added.mean)
        assert term.count == added.count


@pytest.mark.parametrize(
    ("target", "things", "void_channel"),
    [
        pytest.param(draw("....", "____"), [], False, id="no things, no detections"),
        pytest.param(SCENE, [], False, id="no detections"),
        pytest.param(SCENE, [], True, id="no detections, void channel"),
        pytest.param(draw("    ", "    "), [], True, id="all void"),
        pytest.param(draw("##  ", "##  "), [], False, id="crowd and void alone"),
    ],
)
def test_gradient_is_finite(target: Target, things: list[int], void_channel: bool) -> None:
    cells = random_cells(len(STUFF) + len(things) + void_channel, target)
    for term in terms(found(target, things, cells), target, void_channel=void_channel).values():
        (gradient,) = torch.autograd.grad(term.mean, cells)
        assert gradient.isfinite().all()
        assert (term.count > 0) == bool(gradient.any())


def test_no_stuff_and_no_detections_leave_no_channel_and_no_loss() -> None:
    target = draw("aab ", "aab ")
    cells = torch.zeros(0, 1, 1, requires_grad=True)
    found_terms = panoptic_terms(
        found(target, [], cells), [target], stuff=(), void_channel=False, cross_entropy=True, lovasz=True
    )
    for term in found_terms.values():
        term.mean.backward()
        assert term.count == 0
        assert term.mean == 0


def test_channels_that_disagree_with_the_detections_are_refused() -> None:
    with pytest.raises(AssertionError, match="5 panoptic channels"):
        terms(found(SCENE, [1, 0], random_cells(5, SCENE)), SCENE)
