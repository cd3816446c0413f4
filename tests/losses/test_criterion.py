from typing import get_args

import pytest
import torch

from unipan.classes import VOID, ClassInfo, ClassTable
from unipan.config import Config, LossConfig, ModelConfig, PanopticHead
from unipan.losses.build import build_criterion, criterion_of
from unipan.terms import Term, add_terms
from unipan.types import Detections, Outputs, Target

CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=name == "cat", dataset_id=number, color=(0, 0, 0), supercategory=name)
        for number, name in enumerate(["grass", "cat", "sky"])
    )
)
DETECTOR = {name: Term(torch.tensor(6.0), torch.tensor(2.0)) for name in ("rpn_objectness", "rpn_box", "box_class", "mask")}


def scene(seed: int, **detector: Term) -> tuple[Outputs, list[Target]]:
    generator = torch.Generator().manual_seed(seed)
    semantic, panoptic = torch.randn(2, 3, 2, 2, generator=generator).unbind()
    labels = torch.randint(0, 3, (8, 8), generator=generator)
    labels[0] = VOID
    box = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    target = Target(boxes=box, labels=torch.tensor([1]), instances=torch.where(labels == 1, 0, -1).int(), semantic=labels.byte())
    detections = Detections(box, torch.ones(1), torch.tensor([1]), None)
    lists = [semantic], [detections], [torch.tensor([0])], [panoptic], [panoptic], [panoptic]
    outputs = Outputs(*lists, {**DETECTOR, **detector}, upsampling=[None])
    return outputs, [target]


def test_each_term_is_its_mean_times_its_weight() -> None:
    weights = LossConfig(semantic=2.0, semantic_lovasz=3.0, panoptic=4.0, panoptic_lovasz=5.0, rpn=6.0, box=7.0, mask=8.0)
    criterion = build_criterion(weights, CLASSES, void_channel=False)
    outputs, targets = scene(0)
    terms, losses = criterion.terms(outputs, targets), criterion(outputs, targets)
    assert dict(losses) == {
        "semantic": 2 * terms["semantic"].mean,
        "semantic_lovasz": 3 * terms["semantic_lovasz"].mean,
        "panoptic": 4 * terms["panoptic"].mean,
        "panoptic_lovasz": 5 * terms["panoptic_lovasz"].mean,
        "rpn_objectness": 18,
        "rpn_box": 18,
        "box_class": 21,
        "mask": 24,
    }
    assert losses.total == sum(value for _, value in losses)


def test_a_term_of_weight_zero_is_not_computed() -> None:
    config = LossConfig(semantic=0, semantic_lovasz=1, panoptic=1, panoptic_lovasz=0, rpn=0, box=1, mask=0)
    outputs, targets = scene(0)
    terms = build_criterion(config, CLASSES, void_channel=False).terms(outputs, targets)
    assert list(terms) == ["semantic_lovasz", "panoptic", "box_class"]


def test_terms_of_halves_add_to_the_terms_of_the_whole() -> None:
    criterion = build_criterion(LossConfig(semantic_lovasz=1.0, panoptic_lovasz=1.0), CLASSES, void_channel=False)
    (first, first_targets), (second, second_targets) = scene(1), scene(2)
    lists = [a + b for a, b in zip(first[:6], second[:6], strict=True)]
    whole = Outputs(*lists, detector_losses=add_terms([DETECTOR, DETECTOR]), upsampling=[None, None])  # type: ignore[arg-type]
    halves = add_terms([criterion.terms(first, first_targets), criterion.terms(second, second_targets)])
    torch.testing.assert_close(dict(criterion.weigh(halves)), dict(criterion(whole, first_targets + second_targets)))


def test_a_detector_term_without_a_weight_is_refused() -> None:
    outputs, targets = scene(0, centreness=DETECTOR["mask"])
    with pytest.raises(AssertionError, match="centreness"):
        build_criterion(LossConfig(), CLASSES, void_channel=False)(outputs, targets)


@pytest.mark.parametrize("head", get_args(PanopticHead))
def test_only_the_unified_head_learns_an_affinity_and_an_existence(head: PanopticHead) -> None:
    """So that any head can be chosen on a preset whose own has both."""
    model = ModelConfig(panoptic=head, void_channel=head == "upsnet", existence=True)
    loss = LossConfig(affinity=0.5, affinity_rivals=0.5, panoptic=float(head != "heuristic"))
    learnt = {"affinity", "affinity_rivals", "existence"}
    assert learnt & set(criterion_of(Config(model=model, loss=loss), CLASSES).names) == (learnt if head == "unified" else set())
