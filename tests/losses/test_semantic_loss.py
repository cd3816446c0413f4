from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import VOID
from unipan.losses.semantic import semantic_terms
from unipan.ops.lovasz import lovasz_softmax
from unipan.terms import Term
from unipan.types import Target

CLASSES = 4


def truth(semantic: Tensor) -> Target:
    instances = torch.full(semantic.shape, -1, dtype=torch.int32)
    return Target(boxes=torch.zeros(0, 4), labels=torch.zeros(0).long(), instances=instances, semantic=semantic.byte())


def scene(seed: int, height: int = 9, width: int = 14, void: float = 0.2) -> tuple[Tensor, Target]:
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randn(CLASSES, -(-height // 4), -(-width // 4), generator=generator, requires_grad=True)
    labels = torch.randint(0, CLASSES, (height, width), generator=generator)
    return cells, truth(labels.masked_fill(torch.rand(height, width, generator=generator) < void, VOID))


def at_pixels(cells: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Logits (C, n) and labels (n,) of the labelled pixels, the long way round."""
    height, width = target.semantic.shape
    full = F.interpolate(cells[None], size=(cells.shape[1] * 4, cells.shape[2] * 4), mode="bilinear")[0, :, :height, :width]
    labelled = target.semantic != VOID
    return full[:, labelled], target.semantic[labelled].long()


def terms(scenes: list[tuple[Tensor, Target]], group: int = 1) -> dict[str, Term]:
    cells, targets = zip(*scenes, strict=True)
    return semantic_terms(cells, targets, cross_entropy=True, lovasz=True, group=group)


def test_cross_entropy_is_over_all_labelled_pixels_of_the_batch() -> None:
    scenes = [scene(0), scene(1, height=5, width=4)]
    logits, labels = zip(*(at_pixels(*image) for image in scenes), strict=True)
    term = terms(scenes)["semantic"]
    assert term.count == sum(map(len, labels))
    torch.testing.assert_close(term.mean, F.cross_entropy(torch.cat(logits, 1).T, torch.cat(labels)))


def test_lovasz_is_over_groups_and_the_last_may_be_smaller() -> None:
    scenes = [scene(0), scene(1, height=5, width=4), scene(2)]
    logits, labels = zip(*(at_pixels(*image) for image in scenes), strict=True)
    first = lovasz_softmax(torch.cat(logits[:2], 1).softmax(0), torch.cat(labels[:2]))
    second = lovasz_softmax(logits[2].softmax(0), labels[2])
    term = terms(scenes, group=2)["semantic_lovasz"]
    assert term.count == 2
    torch.testing.assert_close(term.mean, (first + second) / 2)


def test_void_pixels_change_nothing() -> None:
    """Only the first two pixel rows are labelled; they lie above the first cells' centres, so those cells alone decide."""
    cells, target = scene(3, height=8, width=12, void=0.0)
    upper = target.semantic[:2]
    with_void = torch.cat([upper, torch.full((6, 12), VOID)])
    for name, term in terms([(cells, truth(with_void))]).items():
        alone = terms([(cells[:, :1], truth(upper))])[name]
        torch.testing.assert_close(term.mean, alone.mean)
        assert term.count == alone.count


def test_crowds_count_like_separated_things() -> None:
    cells, crowd = scene(4)
    separated = replace(
        crowd, boxes=torch.ones(1, 4), labels=torch.tensor([2]), instances=torch.where(crowd.semantic == 2, 0, -1).int()
    )
    for name, term in terms([(cells, crowd)]).items():
        assert term.mean == terms([(cells, separated)])[name].mean


def test_all_void_is_zero_with_a_finite_gradient() -> None:
    cells, target = scene(5, void=1.0)
    for term in terms([(cells, target)]).values():
        assert term.count == 0
        assert term.mean == 0
        (gradient,) = torch.autograd.grad(term.mean, cells)
        assert gradient.eq(0).all()


def test_an_all_void_image_does_not_dilute_the_others() -> None:
    void, image = scene(5, void=1.0), scene(6)
    for name, term in terms([void, image]).items():
        torch.testing.assert_close(term.mean, terms([image])[name].mean)


@pytest.mark.parametrize(("cross_entropy", "lovasz"), [(False, False), (True, False), (False, True)])
def test_only_what_is_switched_on_is_computed(cross_entropy: bool, lovasz: bool) -> None:
    cells, target = scene(7)
    found = semantic_terms([cells], [target], cross_entropy=cross_entropy, lovasz=lovasz, group=1)
    assert list(found) == ["semantic"] * cross_entropy + ["semantic_lovasz"] * lovasz
