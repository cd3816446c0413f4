"""The one-stage detector on random pyramids: its losses beside torchvision's own FCOS, and what it promises of its answers."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.fcos import FCOSHead

from unipan.classes import ClassTable
from unipan.config import ModelConfig
from unipan.models.build import build_detector
from unipan.models.locations import CENTER_RADIUS, LEVELS, centeredness, responsibility
from unipan.models.one_stage import OneStageDetector
from unipan.models.proposals import STRIDES, grid_anchors
from unipan.types import Size, Target

SIZE = (128, 128)
SIZES: list[Size] = [SIZE, SIZE]
CHANNELS = 64  # torchvision's heads normalise 32 groups

Scenes = Callable[..., Target]
Detectors = Callable[..., OneStageDetector]


@pytest.fixture
def detector(small_config: Callable[..., ModelConfig], classes: ClassTable) -> Detectors:
    """Builds a detector with random weights whose boxes are some strides wide; keywords override the detector's settings."""

    def build(*, masks: bool = True, **settings: object) -> OneStageDetector:
        config = small_config(masks=masks, variant="A", fpn_channels=CHANNELS)
        chosen = dict(kind="one_stage", score_threshold=0.0) | settings
        torch.manual_seed(0)
        built = build_detector(replace(config, detector=replace(config.detector, **chosen)), classes)  # type: ignore[arg-type]
        assert isinstance(built, OneStageDetector)
        for layer in (built.classification_head.cls_logits, built.regression_head.bbox_reg, built.regression_head.bbox_ctrness):
            nn.init.normal_(layer.weight, std=0.1)
        nn.init.constant_(built.regression_head.bbox_reg.bias, 2.5)  # pyright: ignore[reportArgumentType]
        return built

    return build


def pyramid(batch: int = 2, side: int = 128) -> list[Tensor]:
    """P2..P6 of random features, P6 rounded up as pooling rounds it."""
    random = torch.Generator().manual_seed(side)
    return [torch.randn(batch, CHANNELS, -(-side // stride), -(-side // stride), generator=random) for stride in STRIDES]


def truths(scene: Scenes) -> list[Target]:
    return [
        scene(SIZE, 0, [(1, (10, 12, 60, 70)), (3, (40, 50, 100, 120)), (1, (90, 3, 91, 4))]),
        scene(SIZE, 2, [(3, (30, 30, 94, 90))]),
    ]


def no_truths(scene: Scenes) -> list[Target]:
    return [scene(SIZE, 0), scene(SIZE, 2)]


def torchvision_fcos(mine: OneStageDetector, levels: list[Tensor]) -> tuple[FCOS, dict[str, Tensor], Tensor, list[int]]:
    """Torchvision's FCOS around the same heads, what these say, the cells of one image, and their number on each level."""
    backbone = nn.Identity()
    backbone.out_channels = CHANNELS  # pyright: ignore[reportArgumentType]
    head = FCOSHead(CHANNELS, 1, len(mine.things))
    head.classification_head, head.regression_head = mine.classification_head, mine.regression_head
    settings = dict(score_thresh=mine.score_threshold, nms_thresh=mine.nms, detections_per_img=mine.max_detections)
    theirs = FCOS(backbone, len(mine.things), head=head, topk_candidates=mine.before_nms, **settings)  # type: ignore[arg-type]
    cells = grid_anchors(mine.cells, levels[1:], LEVELS)
    return theirs, head(levels[1:]), cells, [x.shape[-1] ** 2 for x in levels[1:]]


def test_losses_equal_torchvision(detector: Detectors, classes: ClassTable) -> None:
    """At scale 8, where the size ranges are FCOS's own; with sides that lie on no bound between two levels."""
    mine, levels = detector(masks=False, anchor_scale=8.0), pyramid()
    boxes = [
        torch.tensor([[10.3, 12.4, 60.1, 70.6], [40.2, 20.5, 70.7, 52.9], [3.2, 6.1, 123.3, 121.7]]),
        torch.tensor([[30.3, 30.4, 94.2, 90.1]]),
    ]
    own = [torch.tensor([0, 1, 1]), torch.tensor([1])]
    empty = torch.empty(0)
    targets = [
        Target(boxes=b, labels=torch.tensor([classes.things[i] for i in position]), instances=empty, semantic=empty)
        for b, position in zip(boxes, own, strict=True)
    ]
    _, terms = mine(levels, SIZES, targets)
    theirs, outputs, cells, counts = torchvision_fcos(mine, levels)
    taught = [{"boxes": b, "labels": position} for b, position in zip(boxes, own, strict=True)]
    expected = theirs.compute_loss(taught, outputs, [cells, cells], counts)
    learnt = responsibility(cells, boxes[0], 8.0)
    assert set(learnt.tolist()) == {-1, 0, 1, 2}
    assert sorted(terms) == ["box_class", "box_regression", "centerness"]
    torch.testing.assert_close(terms["box_class"].mean, expected["classification"])
    torch.testing.assert_close(terms["box_regression"].mean, expected["bbox_regression"])
    torch.testing.assert_close(terms["centerness"].mean, expected["bbox_ctrness"])


def test_detections_equal_torchvision(detector: Detectors, classes: ClassTable) -> None:
    mine, levels = detector(score_threshold=0.05, proposals_before_nms=60).eval(), pyramid()
    found, _ = mine(levels, SIZES, None)
    theirs, outputs, cells, counts = torchvision_fcos(mine, levels)
    split = {name: list(x.split(counts, dim=1)) for name, x in outputs.items()}
    expected = theirs.postprocess_detections(split, [list(cells.split(counts))] * 2, SIZES)
    for ours, every in zip(found, expected, strict=True):
        large = ((every["boxes"][:, 2:] - every["boxes"][:, :2]) >= 0.01).all(1)  # torchvision keeps boxes of no area
        other = {name: x[large] for name, x in every.items()}
        assert 20 < len(ours.boxes) < 100
        assert set(ours.labels.tolist()) == set(classes.things)
        assert ours.labels.tolist() == [classes.things[label] for label in other["labels"].tolist()]
        torch.testing.assert_close(ours.boxes, other["boxes"])
        torch.testing.assert_close(ours.scores, other["scores"])


@pytest.mark.parametrize("masks", [False, True])
def test_truth_and_mode_never_change_detections(detector: Detectors, scene: Scenes, masks: bool) -> None:
    network, levels = detector(masks=masks), pyramid()
    plain, no_terms = network.eval()(levels, SIZES, None)
    assert no_terms == {}
    for training in (False, True):
        network.train(training)
        for targets in (truths(scene), no_truths(scene), None):
            taught, _ = network(levels, SIZES, targets)
            for mine, theirs in zip(taught, plain, strict=True):
                assert len(theirs.boxes)
                assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True) if a is not None)


@pytest.mark.parametrize("masks", [False, True])
def test_images_without_things_teach_only_background(detector: Detectors, scene: Scenes, masks: bool) -> None:
    network = detector(masks=masks)
    _, terms = network(pyramid(), SIZES, no_truths(scene))
    assert [name for name, term in terms.items() if term.sum > 0] == ["box_class"]
    assert all(term.count == 0 for term in terms.values())
    torch.stack([term.mean for term in terms.values()]).sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


def test_terms_add_over_images(detector: Detectors, scene: Scenes) -> None:
    """An image with things beside one without: together they give what each gives alone."""
    network, mixed, levels = detector(), [truths(scene)[0], no_truths(scene)[1]], pyramid()
    _, together = network(levels, SIZES, mixed)
    alone = [network([x[i : i + 1] for x in levels], [SIZE], [mixed[i]])[1] for i in range(2)]
    assert together["box_class"].count > 0
    for name, term in together.items():
        assert term.count == alone[0][name].count + alone[1][name].count
        torch.testing.assert_close(term.sum, alone[0][name].sum + alone[1][name].sum)


@pytest.mark.parametrize("anchor_scale", [4.0, 8.0])
def test_each_location_learns_what_a_loop_finds(detector: Detectors, anchor_scale: float) -> None:
    cells = grid_anchors(detector(masks=False).cells, pyramid(1)[1:], LEVELS)
    random = torch.Generator().manual_seed(3)
    corners = torch.rand(12, 2, 2, generator=random) * 128
    boxes = torch.cat([corners.amin(1), corners.amax(1)], dim=1)
    boxes = torch.cat([boxes, torch.tensor([[32.0, 32.0, 96.0, 96.0], [32.0, 32.0, 96.0, 96.0]])])  # sides on the bounds; a twin
    expected = []
    for x1, y1, x2, y2 in cells.tolist():
        stride, x, y = x2 - x1, (x1 + x2) / 2, (y1 + y2) / 2
        low = 0.0 if stride == 8 else stride * anchor_scale / 2
        high = float("inf") if stride == 64 else stride * anchor_scale
        fitting = []
        for number, (left, top, right, bottom) in enumerate(boxes.tolist()):
            sides = (x - left, y - top, right - x, bottom - y)
            off = max(abs(x - (left + right) / 2), abs(y - (top + bottom) / 2))
            if min(sides) > 0 and off < CENTER_RADIUS * stride and low <= max(sides) < high:
                fitting.append(((right - left) * (bottom - top), number))
        expected.append(min(fitting)[1] if fitting else -1)
    assert responsibility(cells, boxes, anchor_scale).tolist() == expected
    assert len(set(expected)) > 6


@pytest.mark.parametrize(("anchor_scale", "strides"), [(4.0, {16.0}), (8.0, {8.0}), (2.0, {32.0})])
def test_the_anchor_scale_chooses_the_level(detector: Detectors, anchor_scale: float, strides: set[float]) -> None:
    cells = grid_anchors(detector(masks=False).cells, pyramid(1)[1:], LEVELS)
    learnt = responsibility(cells, torch.tensor([[30.0, 30.0, 98.0, 98.0]]), anchor_scale) == 0  # 34 px and more from the centre
    at_center = ((cells[:, :2] + cells[:, 2:]) / 2 == 64).all(1)
    assert set((cells[:, 2] - cells[:, 0])[learnt & at_center].tolist()) == strides


def test_centeredness_is_one_in_the_middle() -> None:
    distances = torch.tensor([[3.0, 5.0, 3.0, 5.0], [1.0, 2.0, 4.0, 2.0], [1.0, 2.0, 4.0, 8.0]])
    torch.testing.assert_close(centeredness(distances), torch.tensor([1.0, 0.5, 0.25]))


def test_masks_are_trained_on_the_truth_and_on_detections_near_it(detector: Detectors, scene: Scenes) -> None:
    network, target = detector(roi_samples=64), truths(scene)[0]
    found = torch.tensor([[12.0, 12.0, 60.0, 72.0], [0.0, 80.0, 30.0, 120.0], [42.0, 50.0, 99.0, 118.0]])
    regions = network._mask_regions(found, target)
    assert regions.matched.tolist() == [0, 1, 2, 0, 1]
    assert regions.labels.tolist() == [1, 2, 1, 1, 2]
    torch.testing.assert_close(regions.boxes, torch.cat([target.boxes, found[[0, 2]]]))
    crowd = scene(SIZE, 0, [(1, (x, y, x + 30, y + 30)) for x in range(0, 96, 12) for y in range(0, 96, 12)])
    assert network(pyramid(1), [SIZE], [crowd])[1]["mask"].count == 16  # a quarter of roi_samples


def test_detections_are_limited(detector: Detectors) -> None:
    every, _ = detector(max_detections=100)(pyramid(), SIZES, None)
    best, _ = detector(max_detections=3)(pyramid(), SIZES, None)
    for few, many in zip(best, every, strict=True):
        assert torch.equal(few.boxes, many.boxes[:3])
        assert many.scores.tolist() == sorted(many.scores.tolist(), reverse=True)
        assert many.boxes.min() >= 0
        assert many.boxes.max() <= 128
    network = detector(score_threshold=0.99999)
    none, _ = network(pyramid(), SIZES, None)
    for detections in network.add_masks(pyramid(), SIZES, none):
        assert detections.boxes.shape == (0, 4)
        assert detections.mask_logits is not None
        assert detections.mask_logits.shape == (0, 28, 28)


def test_gradients_reach_boxes_and_scores(detector: Detectors) -> None:
    network = detector()
    found, _ = network(pyramid(1), [SIZE], None)
    regression = network.regression_head
    layers = [(found[0].boxes, regression.bbox_reg), (found[0].scores, regression.bbox_ctrness)]
    for entry, layer in [*layers, (found[0].scores, network.classification_head.cls_logits)]:
        (gradient,) = torch.autograd.grad(entry.sum(), layer.weight, retain_graph=True)
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0


def test_hopeless_scores_have_a_gradient(detector: Detectors) -> None:
    """Sqrt has none at 0; there the score must not be the root of a product that was rounded to 0."""
    network = detector(masks=False)
    nn.init.constant_(network.classification_head.cls_logits.bias, -300.0)  # pyright: ignore[reportArgumentType]
    found, _ = network(pyramid(1), [SIZE], None)
    assert (found[0].scores == 0).any()
    found[0].scores.sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)
