"""One contract for every network that the settings can build: detector x variant x propagation x void channel.

Each such network runs with no, one and many admitted detections, on one image and on a batch of two sizes: the full product,
forward and backward. B images; C = 5 classes, 3 of them stuff; N admitted detections; h x w cells.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import ceil
from typing import get_args

import pytest
import torch
from torch import Tensor

from unipan.choices import DetectorKind, Propagation, Variant
from unipan.classes import ClassTable
from unipan.config import LossConfig, ModelConfig
from unipan.losses.build import build_criterion
from unipan.models.network import PanopticNetwork
from unipan.terms import Losses
from unipan.types import Admission, Outputs, Target

KINDS, VARIANTS, FORMS = get_args(DetectorKind), get_args(Variant), get_args(Propagation)
MANY = 6
ADMISSIONS = {0: Admission(2.0, MANY), 1: Admission(0.0, 1), MANY: Admission(0.0, MANY)}
"""By the number of detections that they admit."""
SIZES = [(45, 91), (64, 70)]
NUM_CLASSES, NUM_STUFF, AFFINITY_DIM = 5, 3, 8
EVERY_TERM = LossConfig(semantic_lovasz=1.0, panoptic_lovasz=1.0)

Images = Callable[..., Tensor]
Scenes = Callable[..., Target]
Networks = Callable[..., PanopticNetwork]


class Case:
    """Images and truths of the first `num_images` of SIZES, and how a network runs on them."""

    def __init__(self, noise: Images, scene: Scenes, num_images: int) -> None:
        self.sizes = SIZES[:num_images]
        self.images = noise(64, 96).repeat(num_images, 1, 1, 1)
        truths = [
            scene(SIZES[0], 0, [(1, (4, 4, 24, 30)), (3, (40, 8, 90, 40))]),
            scene(SIZES[1], 4, [(3, (2, 20, 30, 60))]),
        ]
        self.targets = truths[:num_images]

    def run(self, network: PanopticNetwork, admission: Admission, *, training: bool, taught: bool) -> Outputs:
        torch.manual_seed(1)
        network.train(training)
        return network(self.images, self.sizes, self.targets if taught else None, admission=admission)

    def losses(self, outputs: Outputs, classes: ClassTable, *, void_channel: bool) -> Losses:
        return build_criterion(EVERY_TERM, classes, void_channel=void_channel)(outputs, self.targets)


def settings_of(kind: DetectorKind, variant: Variant, config: ModelConfig) -> dict[str, object]:
    detector = replace(config.detector, kind=kind)
    return dict(backbone="test_resnet", detector=detector, variant=variant, masks=variant != "A")


def tensors(outputs: Outputs) -> list[Tensor]:
    """Everything but the losses, flat, in a fixed order."""
    found = [entry for detections in outputs.detections for entry in detections if entry is not None]
    return [
        *outputs.semantic,
        *found,
        *outputs.admitted,
        *outputs.potentials,
        *outputs.affinity,
        *outputs.existence,
        *outputs.panoptic,
    ]


def assert_same(one: Outputs, other: Outputs) -> None:
    assert all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))


def assert_shapes(outputs: Outputs, case: Case, *, num_admitted: int, masks: bool, void_channel: bool) -> None:
    for position, (height, width) in enumerate(case.sizes):
        cells = (ceil(height / 4), ceil(width / 4))
        channels = NUM_STUFF + num_admitted + void_channel
        assert outputs.semantic[position].shape == (NUM_CLASSES, *cells)
        assert outputs.affinity[position].shape == (AFFINITY_DIM, *cells)
        assert outputs.admitted[position].tolist() == list(range(num_admitted))
        assert outputs.potentials[position].shape == outputs.panoptic[position].shape == (channels, *cells)
        found = outputs.detections[position]
        assert found.boxes.shape == (len(found.scores), 4)
        assert found.labels.shape == found.scores.shape
        assert (found.mask_logits is not None) == masks
        assert found.mask_logits is None or len(found.mask_logits) == len(found.scores)
        assert all(values.isfinite().all() for values in (outputs.panoptic[position], found.boxes, found.scores))


def assert_learns(network: PanopticNetwork, losses: Losses, *, affinity: bool, existence: bool = False) -> None:
    """Every loss and gradient is finite, and every part of the network that can learn gets some."""
    assert all(value.isfinite() for _, value in losses)
    network.zero_grad()
    losses.total.backward()
    for name, part in network.named_children():
        parameters = list(part.parameters())
        gradients = [p.grad for p in parameters if p.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients), name
        reached = any(gradient.any() for gradient in gradients)
        learns = {"affinity_head": affinity, "existence_head": existence}.get(name, True)
        assert reached == (bool(parameters) and learns), name


@pytest.mark.parametrize("void_channel", [False, True])
@pytest.mark.parametrize("propagation", FORMS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_network_keeps_the_contract(
    small_network: Networks,
    small_config: Callable[..., ModelConfig],
    classes: ClassTable,
    noise: Images,
    scene: Scenes,
    kind: DetectorKind,
    variant: Variant,
    propagation: Propagation,
    void_channel: bool,
) -> None:
    settings = settings_of(kind, variant, small_config())
    network = small_network(**settings, propagation=propagation, void_channel=void_channel)
    for num_images, (num_admitted, admission) in product((1, 2), ADMISSIONS.items()):
        case = Case(noise, scene, num_images)
        inferred = case.run(network, admission, training=False, taught=False)
        assert_shapes(inferred, case, num_admitted=num_admitted, masks=variant != "A", void_channel=void_channel)
        assert inferred.detector_losses == {}
        trained = case.run(network, admission, training=True, taught=True)
        assert_same(trained, inferred)
        losses = case.losses(trained, classes, void_channel=void_channel)
        assert_learns(network, losses, affinity=propagation != "none")


@pytest.mark.parametrize(("kind", "variant"), [("two_stage", "A"), ("one_stage", "B"), ("two_stage", "C")])
def test_what_we_added_keeps_the_contract(
    small_network: Networks,
    small_config: Callable[..., ModelConfig],
    classes: ClassTable,
    noise: Images,
    scene: Scenes,
    kind: DetectorKind,
    variant: Variant,
) -> None:
    settings = settings_of(kind, variant, small_config())
    added = {"void_channel": True, "affinity_position": True, "existence": True, "upsampling": "convex", "deformable_from": 3}
    network = small_network(**settings, **added)
    criterion = build_criterion(
        replace(EVERY_TERM, affinity=0.5, affinity_rivals=0.5), classes, void_channel=True, existence=True
    )
    for num_images, (num_admitted, admission) in product((1, 2), ADMISSIONS.items()):
        case = Case(noise, scene, num_images)
        inferred = case.run(network, admission, training=False, taught=False)
        assert_shapes(inferred, case, num_admitted=num_admitted, masks=variant != "A", void_channel=True)
        assert [len(logits) for logits in inferred.existence] == [num_admitted] * num_images
        for weights, logits in zip(inferred.upsampling, inferred.panoptic, strict=True):
            assert weights is not None
            assert weights.shape == (9, 16, *logits.shape[1:])
            torch.testing.assert_close(weights.sum(0), torch.ones_like(weights[0]))
        trained = case.run(network, admission, training=True, taught=True)
        assert_same(trained, inferred)
        losses = criterion(trained, case.targets)
        assert {"affinity", "affinity_rivals", "existence"} <= dict(losses).keys()
        assert_learns(network, losses, affinity=True, existence=num_admitted > 0)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_truth_and_mode_are_independent(
    small_network: Networks,
    small_config: Callable[..., ModelConfig],
    noise: Images,
    scene: Scenes,
    kind: DetectorKind,
    variant: Variant,
) -> None:
    """The two of the four combinations of truth and mode that the contract's test leaves out."""
    network, case = small_network(**settings_of(kind, variant, small_config())), Case(noise, scene, 2)
    inferred = case.run(network, ADMISSIONS[MANY], training=False, taught=False)
    for training, taught in [(False, True), (True, False)]:
        outputs = case.run(network, ADMISSIONS[MANY], training=training, taught=taught)
        assert bool(outputs.detector_losses) == taught
        assert_same(outputs, inferred)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_weights_and_losses(
    small_network: Networks,
    small_config: Callable[..., ModelConfig],
    classes: ClassTable,
    noise: Images,
    scene: Scenes,
    kind: DetectorKind,
) -> None:
    case, seen = Case(noise, scene, 2), []
    for _ in range(2):
        network = small_network(**settings_of(kind, "B", small_config()))
        outputs = case.run(network, ADMISSIONS[MANY], training=True, taught=True)
        losses = case.losses(outputs, classes, void_channel=False)
        losses.total.backward()
        gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        seen.append((dict(losses), gradients))
    for one, other in zip(*seen, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("void_channel", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_detector_that_finds_nothing(
    small_network: Networks,
    small_config: Callable[..., ModelConfig],
    classes: ClassTable,
    noise: Images,
    scene: Scenes,
    kind: DetectorKind,
    variant: Variant,
    void_channel: bool,
) -> None:
    """Not one detection kept, as on an empty street: another road than detections that are not admitted."""
    settings = settings_of(kind, variant, small_config())
    settings["detector"] = replace(small_config().detector, kind=kind, score_threshold=1.0)
    network, case = small_network(**settings, void_channel=void_channel), Case(noise, scene, 2)
    inferred = case.run(network, ADMISSIONS[MANY], training=False, taught=False)
    assert all(len(found.scores) == 0 for found in inferred.detections)
    assert_shapes(inferred, case, num_admitted=0, masks=variant != "A", void_channel=void_channel)
    trained = case.run(network, ADMISSIONS[MANY], training=True, taught=True)
    assert_same(trained, inferred)
    assert_learns(network, case.losses(trained, classes, void_channel=void_channel), affinity=True)
