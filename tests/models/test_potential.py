"""The dynamic potential against loops over its definition, in float64. S stuff, T things, N detections, cells of 4 x 4 pixels."""

from itertools import product

import pytest
import torch
from torch import Tensor

from unipan.choices import Variant
from unipan.models.potential import dynamic_potential
from unipan.types import Detections

STUFF, THINGS = [0, 2, 4], [1, 3]
HEIGHT, WIDTH = 5, 7


def problem(num: int = 3) -> tuple[Tensor, Detections]:
    """Probabilities (5, 5, 7), and boxes that end within cells: one over the whole image, one inside a single cell."""
    random = torch.Generator().manual_seed(0)
    probs = torch.rand(5, HEIGHT, WIDTH, generator=random, dtype=torch.float64).mul(3).softmax(0)
    boxes = torch.tensor([[2.5, 3.25, 17.0, 13.75], [0.0, 0.0, 28.0, 20.0], [9.0, 5.5, 11.25, 7.0]], dtype=torch.float64)
    scores = torch.tensor([0.9, 0.6, 0.3], dtype=torch.float64)
    masks = 4 * torch.randn(3, 4, 4, generator=random, dtype=torch.float64)
    return probs, Detections(boxes, scores, torch.tensor([3, 1, 3]), masks).take(torch.arange(num))


def covered(low: float, high: float, cell: int) -> tuple[float, float]:
    """Along one axis: how much of a cell lies in the box, and the middle of that part, in pixels."""
    begin, end = max(low, 4 * cell), min(high, 4 * cell + 4)
    return max(end - begin, 0) / 4, (begin + end) / 2


def mask_value(mask: Tensor, x: float, y: float) -> Tensor:
    """Bilinear probability at a place of the box, both of its coordinates in 0..1; zero beyond the outermost points."""
    size = mask.shape[-1]
    value = mask.new_zeros(())
    for row, column in product(range(size), repeat=2):
        share = max(0, 1 - abs(y * size - 0.5 - row)) * max(0, 1 - abs(x * size - 0.5 - column))
        value = value + share * mask[row, column].sigmoid()
    return value


def written_out(probs: Tensor, found: Detections, variant: Variant, score_factor: bool) -> Tensor:
    """The thing channels (N, h, w), cell by cell."""
    assert found.mask_logits is not None
    channels = torch.zeros(len(found.boxes), HEIGHT, WIDTH, dtype=torch.float64)
    for n, row, column in product(range(len(found.boxes)), range(HEIGHT), range(WIDTH)):
        x1, y1, x2, y2 = found.boxes[n].tolist()
        part_x, x = covered(x1, x2, column)
        part_y, y = covered(y1, y2, row)
        inside = part_x * part_y
        if not inside:
            continue
        semantic = probs[found.labels[n], row, column] * inside
        mask = mask_value(found.mask_logits[n], (x - x1) / (x2 - x1), (y - y1) / (y2 - y1))
        value = {"A": semantic, "B": semantic * mask, "C": semantic + mask * inside}[variant]
        channels[n, row, column] = value * (found.scores[n] if score_factor else 1)
    return channels


def potential(probs: Tensor, found: Detections, variant: Variant, score_factor: bool = True, void: bool = False) -> Tensor:
    stuff, things = torch.tensor(STUFF), torch.tensor(THINGS)
    return dynamic_potential(
        probs, found, stuff=stuff, things=things, variant=variant, score_factor=score_factor, void_channel=void
    )


@pytest.mark.parametrize("score_factor", [False, True])
@pytest.mark.parametrize("variant", ["A", "B", "C"])
def test_equals_its_definition(variant: Variant, score_factor: bool) -> None:
    probs, found = problem()
    psi = potential(probs, found, variant, score_factor)
    assert torch.equal(psi[:3], probs[STUFF])
    expected = written_out(probs, found, variant, score_factor or variant == "A")  # A always holds the score
    assert (expected.flatten(1) > 0).sum(1).tolist() == [20, 35, 1]
    torch.testing.assert_close(psi[3:], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("variant", ["A", "B", "C"])
def test_gradients_equal_finite_differences(variant: Variant, void: bool) -> None:
    """In the semantic map, the boxes, the scores and the masks: the panoptic loss trains every part."""
    probs, found = problem(2)
    assert found.mask_logits is not None
    boxes = torch.tensor([[2.5, 3.25, 17.0, 13.75], [1.3, 2.1, 26.2, 18.6]], dtype=torch.float64)  # no side on a cell's edge
    inputs = tuple(t.requires_grad_() for t in (probs, boxes, found.scores, found.mask_logits))

    def psi(probs: Tensor, boxes: Tensor, scores: Tensor, masks: Tensor) -> Tensor:
        return potential(probs, Detections(boxes, scores, found.labels, masks), variant, void=void)

    assert torch.autograd.gradcheck(psi, inputs)


def test_boxes_only_needs_no_masks() -> None:
    probs, found = problem()
    assert torch.equal(potential(probs, found._replace(mask_logits=None), "A"), potential(probs, found, "A"))


@pytest.mark.parametrize("variant", ["A", "B", "C"])
@pytest.mark.parametrize("void", [False, True])
def test_no_detections_leave_the_stuff(variant: Variant, void: bool) -> None:
    probs, found = problem(0)
    psi = potential(probs, found, variant, void=void)
    assert torch.equal(psi[:3], probs[STUFF])
    assert len(psi) == 3 + void
    assert not void or torch.equal(psi[3], probs[THINGS].amax(0))  # nothing is claimed


@pytest.mark.parametrize("variant", ["A", "B", "C"])
def test_void_is_what_no_detection_claims(variant: Variant) -> None:
    """Four cells in a row; classes are road, cat, sky, dog, sea. A cat's box covers cell 0 and half of cell 1, a dog's cell 2."""
    probs = torch.zeros(5, 1, 4, dtype=torch.float64)
    probs[1] = torch.tensor([0.7, 0.6, 0.5, 0.1])
    probs[3] = torch.tensor([0.2, 0.1, 0.2, 0.8])
    boxes = torch.tensor([[0.0, 0.0, 6.0, 4.0], [8.0, 0.0, 12.0, 4.0]], dtype=torch.float64)
    masks = torch.full((2, 2, 2), -3.0, dtype=torch.float64)  # neither masks nor scores weaken a claim
    found = Detections(boxes, torch.tensor([0.5, 0.5], dtype=torch.float64), torch.tensor([1, 3]), masks)
    void = potential(probs, found, variant, void=True)[-1, 0]
    torch.testing.assert_close(void, torch.tensor([0.0, 0.3, 0.3, 0.8], dtype=torch.float64))


def test_void_without_things_is_never() -> None:
    probs, found = problem(0)
    none = torch.tensor([], dtype=torch.int64)
    psi = dynamic_potential(probs, found, stuff=torch.arange(5), things=none, variant="A", score_factor=True, void_channel=True)
    assert psi.shape == (6, HEIGHT, WIDTH)
    assert not psi[-1].any()
