"""The two-stage detector on random pyramids: its losses beside torchvision's own, and what it promises of its answers."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import fastrcnn_loss

from unipan.classes import ClassTable
from unipan.config import ModelConfig
from unipan.models.build import build_detector
from unipan.models.proposals import STRIDES, grid_anchors
from unipan.models.two_stage import TwoStageDetector
from unipan.types import Size, Target

SIZE = (128, 128)
SIZES: list[Size] = [SIZE, SIZE]
BOX_TERMS = ["rpn_objectness", "rpn_box", "box_class", "box_regression"]

Scenes = Callable[..., Target]
Detectors = Callable[..., TwoStageDetector]


@pytest.fixture
def detector(small_config: Callable[..., ModelConfig], classes: ClassTable) -> Detectors:
    """Builds a detector with random weights; keywords override the detector's settings."""

    def build(*, masks: bool = True, **settings: object) -> TwoStageDetector:
        config = small_config(masks=masks, variant="A")
        torch.manual_seed(0)
        built = build_detector(replace(config, detector=replace(config.detector, **settings)), classes)  # type: ignore[arg-type]
        assert isinstance(built, TwoStageDetector)
        return built

    return build


def pyramid(batch: int = 2, side: int = 128) -> list[Tensor]:
    """P2..P6 of random features, P6 rounded up as pooling rounds it."""
    random = torch.Generator().manual_seed(side)
    return [torch.randn(batch, 16, -(-side // stride), -(-side // stride), generator=random) for stride in STRIDES]


def truths(scene: Scenes) -> list[Target]:
    return [
        scene(SIZE, 0, [(1, (10, 12, 60, 70)), (3, (40, 50, 100, 120)), (1, (90, 3, 91, 4))]),
        scene(SIZE, 2, [(3, (30, 30, 94, 90))]),
    ]


def no_truths(scene: Scenes) -> list[Target]:
    return [scene(SIZE, 0), scene(SIZE, 2)]


@pytest.mark.parametrize("masks", [False, True])
def test_loss_terms(detector: Detectors, scene: Scenes, masks: bool) -> None:
    network, levels = detector(masks=masks), pyramid()
    found, terms = network(levels, SIZES, truths(scene))
    assert sorted(terms) == sorted(BOX_TERMS + ["mask"] * masks)
    assert all(term.mean.isfinite() and term.mean > 0 for term in terms.values())
    assert all(detections.mask_logits is None for detections in found), "masks are added to those that are wanted"
    assert all((one.mask_logits is not None) == masks for one in network.add_masks(levels, SIZES, found))


@pytest.mark.parametrize("masks", [False, True])
def test_images_without_things_teach_only_background(detector: Detectors, scene: Scenes, masks: bool) -> None:
    network = detector(masks=masks)
    _, terms = network(pyramid(), SIZES, no_truths(scene))
    assert [name for name, term in terms.items() if term.sum > 0] == ["rpn_objectness", "box_class"]
    assert not masks or terms["mask"].count == 0
    torch.stack([term.mean for term in terms.values()]).sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


def test_one_image_with_things_beside_one_without(detector: Detectors, scene: Scenes) -> None:
    network, mixed = detector(), [truths(scene)[0], no_truths(scene)[1]]
    _, terms = network(pyramid(), SIZES, mixed)
    assert all(term.mean.isfinite() and term.mean > 0 for term in terms.values())


@pytest.mark.parametrize("masks", [False, True])
def test_truth_never_changes_detections(detector: Detectors, scene: Scenes, masks: bool) -> None:
    network, levels = detector(masks=masks), pyramid()
    plain, no_terms = network(levels, SIZES, None)
    assert no_terms == {}
    for targets in (truths(scene), no_truths(scene)):
        taught, _ = network(levels, SIZES, targets)
        for mine, theirs in zip(taught, plain, strict=True):
            assert len(theirs.boxes)
            assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True) if a is not None)


def test_box_losses_equal_torchvision(detector: Detectors, scene: Scenes, classes: ClassTable) -> None:
    """Nothing is left to chance: so many samples are allowed that every anchor and every region is one."""
    network, levels, targets = detector(masks=False, rpn_samples=10**6, roi_samples=10**3), pyramid(), truths(scene)
    _, terms = network(levels, SIZES, targets)
    detector_label = {index: position for position, index in enumerate(classes.things, start=1)}
    taught = [{"boxes": t.boxes, "labels": torch.tensor([detector_label[c] for c in t.labels.tolist()])} for t in targets]

    rpn, heads = network.proposals.rpn.train(), network.roi_heads.train()
    features = OrderedDict((str(level), x) for level, x in enumerate(levels))
    proposals, expected = rpn(ImageList(torch.zeros(2, 3, *SIZE), SIZES), features, taught)
    regions, _, labels, deltas = heads.select_training_samples(proposals, taught)
    pooled = heads.box_roi_pool({name: features[name] for name in "0123"}, regions, SIZES)
    class_logits, box_deltas = heads.box_predictor(heads.box_head(pooled))
    box_class, box_regression = fastrcnn_loss(class_logits, box_deltas, labels, deltas)

    assert (torch.cat(labels) > 0).sum() >= 4
    torch.testing.assert_close(terms["rpn_objectness"].mean, expected["loss_objectness"])
    torch.testing.assert_close(terms["rpn_box"].mean, expected["loss_rpn_box_reg"])
    torch.testing.assert_close(terms["box_class"].mean, box_class)
    torch.testing.assert_close(terms["box_regression"].mean, box_regression)


def test_detections_equal_torchvision(detector: Detectors, classes: ClassTable) -> None:
    network, levels = detector().eval(), pyramid()
    found = network.add_masks(levels, SIZES, network(levels, SIZES, None)[0])
    proposals, _ = network.proposals(levels, SIZES, None)
    expected, _ = network.roi_heads({str(level): x for level, x in enumerate(levels[:4])}, proposals, SIZES)
    for mine, theirs in zip(found, expected, strict=True):
        assert set(mine.labels.tolist()) == set(classes.things)
        assert mine.labels.tolist() == [classes.things[label - 1] for label in theirs["labels"].tolist()]
        assert mine.mask_logits is not None
        torch.testing.assert_close(mine.boxes, theirs["boxes"])
        torch.testing.assert_close(mine.scores, theirs["scores"])
        torch.testing.assert_close(mine.mask_logits.sigmoid(), theirs["masks"][:, 0])


@pytest.mark.parametrize(("anchor_scale", "sides"), [(4.0, (50, 60, 120, 230)), (8.0, (100, 120, 240, 460))])
def test_regions_are_read_from_the_level_of_their_size(detector: Detectors, anchor_scale: float, sides: tuple[int, ...]) -> None:
    """Each level holds its own number; with anchors of 8 strides the levels change at 112, 224 and 448 px, as published."""
    heads = detector(anchor_scale=anchor_scale).roi_heads
    features = {str(level): torch.full((1, 16, 512 >> level + 2, 512 >> level + 2), float(level)) for level in range(4)}
    regions = torch.tensor([[20.0, 30.0, 20.0 + side, 30.0 + side] for side in sides])
    for pool in (heads.box_roi_pool, heads.mask_roi_pool):
        assert pool is not None
        assert pool(features, [regions], [(512, 512)])[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_samples_are_limited_and_at_most_a_quarter_hold_things(detector: Detectors, scene: Scenes) -> None:
    crowd = [(1, (x, y, x + 30, y + 30)) for x in range(0, 96, 12) for y in range(0, 96, 12)]
    _, terms = detector(rpn_samples=32, roi_samples=16)(pyramid(1), [SIZE], [scene(SIZE, 0, crowd)])
    assert terms["rpn_objectness"].count == 32
    assert terms["box_class"].count <= 16
    assert terms["mask"].count == 4


@pytest.mark.parametrize("limit", [1, 7])
def test_proposals_are_limited_and_carry_no_gradient(detector: Detectors, limit: int) -> None:
    for training in (False, True):
        network = detector(proposals=limit, proposal_nms=0.99).proposals.train(training)
        proposals, losses = network([x.requires_grad_() for x in pyramid()], SIZES, None)
        assert [len(boxes) for boxes in proposals] == [limit, limit]
        assert losses == {}
        assert not any(boxes.requires_grad for boxes in proposals)


def test_detections_are_limited(detector: Detectors) -> None:
    every, _ = detector(max_detections=100)(pyramid(), SIZES, None)
    best, _ = detector(max_detections=3)(pyramid(), SIZES, None)
    for few, many in zip(best, every, strict=True):
        assert torch.equal(few.boxes, many.boxes[:3])
    network = detector(score_threshold=0.9)
    none, _ = network(pyramid(), SIZES, None)
    for detections in network.add_masks(pyramid(), SIZES, none):
        assert detections.boxes.shape == (0, 4)
        assert detections.mask_logits is not None
        assert detections.mask_logits.shape == (0, 28, 28)


@pytest.mark.parametrize("side", [128, 160])
def test_anchors_stand_on_multiples_of_their_strides(detector: Detectors, side: int) -> None:
    """160 pixels make 5 cells of P5 and 3 of P6: 160 / 3 is no stride."""
    levels = pyramid(1, side)
    anchors = grid_anchors(detector(masks=False).proposals.rpn.anchor_generator, levels, STRIDES)
    counts = [3 * x.shape[-1] ** 2 for x in levels]
    for stride, part, level in zip(STRIDES, anchors.split(counts), levels, strict=True):
        wanted = {float(stride * cell) for cell in range(level.shape[-1])}
        for low, high in ((0, 2), (1, 3)):
            assert set(((part[:, low] + part[:, high]) / 2).tolist()) == wanted
        sides = (part[:, 2:] - part[:, :2]).unique(dim=0)
        torch.testing.assert_close(sides.prod(1).sqrt(), torch.full((3,), 4.0 * stride), rtol=0.05, atol=0)


def test_gradients_reach_boxes_and_scores(detector: Detectors) -> None:
    network = detector()
    found, _ = network(pyramid(1), [SIZE], None)
    for entry, layer in ((found[0].boxes, "bbox_pred"), (found[0].scores, "cls_score")):
        weight = getattr(network.roi_heads.box_predictor, layer).weight
        (gradient,) = torch.autograd.grad(entry.sum(), weight, retain_graph=True)
        assert gradient.abs().sum() > 0


def test_small_images_are_read_at_their_levels_stride(detector: Detectors) -> None:
    """40 px are padded to 64: dividing sizes, as torchvision does, would take P2's stride for 2."""
    pool = detector(masks=False).roi_heads.box_roi_pool
    levels = {str(level): torch.arange(16 >> level).float().expand(1, 16, 16 >> level, 16 >> level) for level in range(4)}
    region = torch.tensor([[8.0, 8.0, 24.0, 24.0]])
    columns = pool(levels, [region], [(40, 40)])[0, 0, 0]
    torch.testing.assert_close(columns, 2 + 4 * (torch.arange(7) + 0.5) / 7)  # cells of 4 px, whose numbers they hold
