"""The network and the criterion together: unusual class tables, images without detections, and where gradients arrive."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from unipan.choices import Variant
from unipan.classes import VOID, ClassTable
from unipan.config import LossConfig
from unipan.losses.build import build_criterion
from unipan.models.decode import decode
from unipan.models.network import PanopticNetwork
from unipan.types import Admission, Target

SIZE = (61, 75)
EVERYTHING = Admission(0.0, 8)
NOTHING = Admission(2.0, 8)
ALL_TERMS = LossConfig(semantic_lovasz=1.0, panoptic_lovasz=1.0)
PANOPTIC_ONLY = LossConfig(semantic=0.0, rpn=0.0, box=0.0, mask=0.0)

Images = Callable[..., Tensor]
Scenes = Callable[..., Target]
Networks = Callable[..., PanopticNetwork]


def gradients(network: PanopticNetwork) -> dict[str, Tensor]:
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("masks", "variant"), [(False, "A"), (True, "B"), (True, "C")])
@pytest.mark.parametrize("void_channel", [False, True])
def test_images_without_admitted_detections_are_learnt_from(
    small_network: Networks,
    classes: ClassTable,
    noise: Images,
    scene: Scenes,
    masks: bool,
    variant: Variant,
    void_channel: bool,
) -> None:
    network = small_network(masks=masks, variant=variant, void_channel=void_channel)
    target = scene(SIZE, 2, [(1, (10, 10, 40, 40))])
    outputs = network(noise(*SIZE)[None], [SIZE], [target], admission=NOTHING)
    assert len(outputs.panoptic[0]) == 3 + void_channel
    losses = build_criterion(ALL_TERMS, classes, void_channel=void_channel)(outputs, [target])
    losses.total.backward()
    assert all(value.isfinite() and value > 0 for _, value in losses)
    assert all(gradient.isfinite().all() for gradient in gradients(network).values())


@pytest.mark.parametrize("letters", ["sgw", "BC", "s", "B"])
@pytest.mark.parametrize("admission", [EVERYTHING, NOTHING])
@pytest.mark.parametrize(("masks", "variant"), [(False, "A"), (True, "B"), (True, "C")])
@pytest.mark.parametrize("void_channel", [False, True])
def test_tables_without_things_or_without_stuff_work(
    small_network: Networks,
    class_table: Callable[[str], ClassTable],
    noise: Images,
    scene: Scenes,
    letters: str,
    admission: Admission,
    masks: bool,
    variant: Variant,
    void_channel: bool,
) -> None:
    table = class_table(letters)
    network = small_network(table, masks=masks, variant=variant, void_channel=void_channel)
    target = scene(SIZE, 0, [(0, (10, 10, 40, 40))] if table.things else ())
    if table.things:
        target.semantic[target.instances < 0] = VOID
    outputs = network(noise(*SIZE)[None], [SIZE], [target], admission=admission)
    losses = build_criterion(ALL_TERMS, table, void_channel=void_channel)(outputs, [target])
    losses.total.backward()
    assert all(value.isfinite() for _, value in losses)
    assert all(gradient.isfinite().all() for gradient in gradients(network).values())
    admitted = outputs.detections[0].take(outputs.admitted[0])
    answer = decode(outputs.panoptic[0], admitted, network_size=SIZE, size=SIZE, classes=table)
    assert answer.ids.shape == SIZE
    assert {segment.name for segment in answer.segments} <= set(letters)
    num_channels = len(table.stuff) + len(admitted.scores)
    assert len(outputs.panoptic[0]) == num_channels + void_channel
    assert num_channels or not answer.ids.any()
    assert void_channel or not num_channels or answer.ids.all()


@pytest.mark.parametrize("score_factor", [False, True])
@pytest.mark.parametrize("variant", ["A", "B", "C"])
def test_the_panoptic_loss_alone_teaches_the_detector(
    small_network: Networks, classes: ClassTable, noise: Images, scene: Scenes, variant: Variant, score_factor: bool
) -> None:
    network = small_network(variant=variant, score_factor=score_factor)
    image = noise(*SIZE)[None]
    with torch.no_grad():
        found = network(image, [SIZE], admission=EVERYTHING).detections[0]
    box = found.boxes[0].round().int().tolist()
    target = scene(SIZE, 0, [(int(found.labels[0]), tuple(box))])
    outputs = network(image, [SIZE], [target], admission=EVERYTHING)
    losses = build_criterion(PANOPTIC_ONLY, classes, void_channel=False)(outputs, [target])
    assert [name for name, _ in losses] == ["panoptic"]
    losses.total.backward()
    reached = {name for name, gradient in gradients(network).items() if gradient.abs().sum() > 0}
    heads = "detector.roi_heads."
    assert (f"{heads}box_predictor.cls_score.weight" in reached) == (score_factor or variant == "A")  # by way of the score
    assert f"{heads}box_predictor.bbox_pred.weight" in reached  # by way of how much of a cell the box covers
    assert (f"{heads}mask_predictor.mask_fcn_logits.weight" in reached) == (variant != "A")
    assert {"panoptic_head.log_scale", "affinity_head.projection.weight", "backbone.body.conv1.0.weight"} <= reached
    assert not any("proposals" in name for name in reached)
