"""Training with the truth's boxes in the potential (paper, section A.4), with both detectors: who learns from that loss."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from unipan.choices import DetectorKind, TrainingDetections, Variant
from unipan.classes import VOID, ClassTable
from unipan.config import Config, LossConfig, ModelConfig, TrainConfig
from unipan.engine.fit import Trainer
from unipan.errors import InputError
from unipan.losses.build import build_criterion
from unipan.losses.panoptic import panoptic_truth
from unipan.models.network import PanopticNetwork
from unipan.models.one_stage import OneStageDetector
from unipan.presets import scenes
from unipan.recipes import train as recipe
from unipan.types import Admission, Outputs, Target

SIZE = (61, 75)
PREDICTED = Admission(0.0, 8)
TRUTH = Admission(0.3, 8, from_truth=True)
PANOPTIC_ONLY = LossConfig(semantic=0.0, rpn=0.0, box=0.0, mask=0.0)
CLASS_LAYERS = {"two_stage": "roi_heads.box_predictor.cls_score", "one_stage": "classification_head.cls_logits"}
BOX_LAYERS = {"two_stage": "roi_heads.box_predictor.bbox_pred", "one_stage": "regression_head.bbox_reg"}
MASK_LAYER = "detector.roi_heads.mask_predictor.mask_fcn_logits.weight"
KINDS: list[DetectorKind] = ["two_stage", "one_stage"]

Images = Callable[..., Tensor]
Scenes = Callable[..., Target]
Networks = Callable[..., PanopticNetwork]


@pytest.fixture
def network_with(small_config: Callable[..., ModelConfig], small_network: Networks) -> Networks:
    """Builds a small network with one of the detectors, which finds something though nothing is learnt."""

    def build(kind: DetectorKind, **settings: object) -> PanopticNetwork:
        chosen = replace(small_config().detector, kind=kind, score_threshold=0.0 if kind == "one_stage" else 0.05)
        network = small_network(detector=chosen, **settings)
        if isinstance(network.detector, OneStageDetector):
            nn.init.constant_(network.detector.regression_head.bbox_reg.bias, 2.5)  # pyright: ignore[reportArgumentType]
        return network

    return build


def truth(scene: Scenes) -> Target:
    """The smaller things come first, so that the order of the channels shows."""
    return scene(SIZE, 0, [(1, (2, 2, 12, 12)), (3, (5, 20, 45, 60)), (1, (40, 5, 75, 40))])


def reached(network: PanopticNetwork) -> set[str]:
    """Names of the parameters with a gradient."""
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    return {name for name, gradient in gradients.items() if gradient.abs().sum() > 0}


def learn(network: PanopticNetwork, classes: ClassTable, image: Tensor, target: Target, admission: Admission) -> Outputs:
    """Backward pass of the panoptic loss alone."""
    outputs = network(image, [SIZE], [target], admission=admission)
    losses = build_criterion(PANOPTIC_ONLY, classes, void_channel=False)(outputs, [target])
    assert [name for name, _ in losses] == ["panoptic"]
    losses.total.backward()
    return outputs


@pytest.mark.parametrize("score_factor", [False, True])
@pytest.mark.parametrize("variant", ["A", "B", "C"])
@pytest.mark.parametrize("kind", KINDS)
def test_predicted_detections_learn_from_the_panoptic_loss(
    network_with: Networks,
    classes: ClassTable,
    noise: Images,
    scene: Scenes,
    kind: DetectorKind,
    variant: Variant,
    score_factor: bool,
) -> None:
    network, image = network_with(kind, variant=variant, score_factor=score_factor), noise(*SIZE)[None]
    with torch.no_grad():
        found = network(image, [SIZE], admission=PREDICTED).detections[0]
    position = int(((found.boxes[:, 2:] - found.boxes[:, :2]) > 6).all(1).nonzero()[0])
    x1, y1, x2, y2 = found.boxes[position].round().int().tolist()
    learn(network, classes, image, scene(SIZE, 0, [(int(found.labels[position]), (x1, y1, x2, y2))]), PREDICTED)
    names = reached(network)
    assert (f"detector.{CLASS_LAYERS[kind]}.weight" in names) == (score_factor or variant == "A")  # by way of the score
    assert f"detector.{BOX_LAYERS[kind]}.weight" in names  # by way of how much of a cell the box covers
    assert (MASK_LAYER in names) == (variant != "A")


@pytest.mark.parametrize("variant", ["A", "B", "C"])
@pytest.mark.parametrize("kind", KINDS)
def test_true_detections_teach_no_box_but_the_masks(
    network_with: Networks, classes: ClassTable, noise: Images, scene: Scenes, kind: DetectorKind, variant: Variant
) -> None:
    network = network_with(kind, variant=variant)
    learn(network, classes, noise(*SIZE)[None], truth(scene), TRUTH)
    names = reached(network)
    in_detector = {name for name in names if name.startswith("detector.")}
    assert all(name.startswith("detector.roi_heads.mask_") for name in in_detector)
    assert (MASK_LAYER in names) == (variant != "A")
    assert {"panoptic_head.log_scale", "affinity_head.projection.weight", "semantic_head.classifier.weight"} <= names


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_true_things_take_the_channels(
    network_with: Networks, classes: ClassTable, noise: Images, scene: Scenes, kind: DetectorKind, masks: bool
) -> None:
    network, image, target = network_with(kind, masks=masks, variant="A"), noise(*SIZE)[None], truth(scene)
    outputs = network(image, [SIZE], [target], admission=TRUTH)
    largest_first = [1, 2, 0]
    admitted = outputs.detections[0].take(outputs.admitted[0])
    assert torch.equal(admitted.boxes, target.boxes[largest_first])
    assert torch.equal(admitted.labels, target.labels[largest_first])
    assert admitted.scores.tolist() == [1.0, 1.0, 1.0]
    assert (admitted.mask_logits is not None) == masks
    probs = outputs.semantic[0].softmax(0)
    cells = torch.zeros(3, *probs.shape[1:])  # by hand: the boxes in cells; where they end within a cell, not looked at
    for position, (label, (x1, y1, x2, y2)) in enumerate([(3, (2, 5, 11, 15)), (1, (10, 2, 18, 10)), (1, (1, 1, 3, 3))]):
        cells[position, y1:y2, x1:x2] = probs[label, y1:y2, x1:x2]
    inside = cells > 0
    torch.testing.assert_close(outputs.potentials[0][3:][inside], cells[inside])
    channels = panoptic_truth(target, admitted.boxes, admitted.labels, stuff=classes.stuff, void_channel=False)
    assert (channels[25:60, 5:40] == 3).all()
    assert (channels[2:12, 2:12] == 5).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_keeps_the_largest(network_with: Networks, noise: Images, scene: Scenes, kind: DetectorKind) -> None:
    network, target = network_with(kind), truth(scene)
    outputs = network(noise(*SIZE)[None], [SIZE], [target], admission=TRUTH._replace(limit=2))
    assert torch.equal(outputs.detections[0].boxes[outputs.admitted[0]], target.boxes[[1, 2]])
    assert len(outputs.panoptic[0]) == 3 + 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_detector_learns_its_own_losses_as_before(
    network_with: Networks, noise: Images, scene: Scenes, kind: DetectorKind
) -> None:
    """Truth in the potential changes no detector loss, and no prediction is mixed with truth."""
    network, image, target = network_with(kind), noise(*SIZE)[None], truth(scene)
    losses = []
    for admission in (PREDICTED, TRUTH):
        torch.manual_seed(0)
        losses.append(network(image, [SIZE], [target], admission=admission).detector_losses)
    assert losses[0].keys() == losses[1].keys()
    assert all(torch.equal(losses[0][name].sum, losses[1][name].sum) for name in losses[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("letters", ["sBgCw", "sgw", "BC"])
def test_images_and_tables_without_things_work(
    network_with: Networks,
    class_table: Callable[[str], ClassTable],
    noise: Images,
    scene: Scenes,
    kind: DetectorKind,
    letters: str,
) -> None:
    table = class_table(letters)
    network, target = network_with(kind, table=table), scene(SIZE, 0)
    if not table.stuff:
        target.semantic[:] = VOID
    outputs = network(noise(*SIZE)[None], [SIZE], [target], admission=TRUTH)
    assert len(outputs.panoptic[0]) == len(table.stuff)
    losses = build_criterion(LossConfig(), table, void_channel=False)(outputs, [target])
    losses.total.backward()
    reached(network)


def test_truth_must_be_there(network_with: Networks, noise: Images) -> None:
    with pytest.raises(InputError, match="needs the targets"):
        network_with("two_stage")(noise(*SIZE)[None], [SIZE], admission=TRUTH)


@pytest.mark.parametrize(("chosen", "expected"), [("predicted", False), ("truth", True)])
def test_training_passes_the_setting_on(
    chosen: TrainingDetections, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    def fit(trainer: Trainer, *_: object, **__: object) -> None:
        assert trainer.admission.from_truth is expected
        raise Stopped

    monkeypatch.setattr(recipe, "fit", fit)
    small = scenes()
    config = replace(
        small,
        model=replace(small.model, backbone="resnet10t", pretrained=False),
        train=replace(small.train, detections=chosen, workers=0),
    )
    with pytest.raises(Stopped):
        recipe.train(config, tmp_path / "run")


def test_truth_without_a_panoptic_loss_is_refused() -> None:
    with pytest.raises(InputError, match="changes only the panoptic loss"):
        Config(train=TrainConfig(detections="truth"), loss=LossConfig(panoptic=0.0))
    Config(train=TrainConfig(detections="truth"), loss=LossConfig(panoptic=0.0, panoptic_lovasz=1.0))


@pytest.mark.parametrize("size", [(61, 75), (64, 78)])
def test_a_box_as_large_as_the_image_covers_its_last_cells(
    size: tuple[int, int], small_network: Networks, noise: Images, scene: Scenes
) -> None:
    """The network's cells of 4 x 4 pixels reach over these images' borders."""
    height, width = size
    truth = scene(size, 0, [(3, (0, 0, width, height))])
    outputs = small_network(variant="A")(noise(height, width)[None], [size], [truth], admission=TRUTH)
    torch.testing.assert_close(outputs.potentials[0][3], outputs.semantic[0].softmax(0)[3])
