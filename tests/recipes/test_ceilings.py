"""Truth put into the place of single parts: what must not change by it, and what must."""

from dataclasses import replace

import pytest
import torch
from ceilings import NEVER, shares, with_truth

from unipan.answer import Inference
from unipan.data.dataset import PanopticDataset
from unipan.data.targets import make_target
from unipan.predictor import Predictor
from unipan.types import Target


@pytest.fixture(scope="module")
def inference(predictor: Predictor, scenes: PanopticDataset) -> Inference:
    return predictor.infer(scenes[0].image)


@pytest.fixture(scope="module")
def target(scenes: PanopticDataset) -> Target:
    return make_target(scenes[0].truth, min_thing_px=1)


def test_without_any_truth_it_is_the_networks_own(predictor: Predictor, inference: Inference, target: Target) -> None:
    own = with_truth(predictor, inference, target)["as it is"]
    assert torch.allclose(own, inference.outputs.panoptic[0], atol=1e-5)


def test_perfect_detections_gain_nothing_by_true_boxes(predictor: Predictor, inference: Inference, target: Target) -> None:
    admitted = inference.admitted
    perfect = replace(target, boxes=admitted.boxes, labels=admitted.labels)
    rows = with_truth(predictor, inference, perfect)
    assert torch.equal(rows["true boxes"], rows["as it is"])
    assert torch.equal(rows["true existence"], rows["as it is"])
    assert not torch.equal(rows["true descriptors"], rows["as it is"])


def test_a_detection_of_nothing_loses_by_true_existence(predictor: Predictor, inference: Inference, target: Target) -> None:
    nothing = replace(target, boxes=target.boxes[:0], labels=target.labels[:0], instances=torch.full_like(target.instances, -1))
    rows = with_truth(predictor, inference, nothing)
    first = len(predictor.classes.stuff)
    assert len(inference.admitted.scores) > 0
    assert (rows["true existence"][first:] < NEVER / 2).all()
    assert torch.equal(rows["true existence"][:first], rows["as it is"][:first])


def test_shares_of_a_cell_are_means_of_its_pixels(target: Target) -> None:
    found = shares(target)
    by_hand = (target.instances[4:8, 8:12] == 0).float().mean()
    assert found[0, 1, 2] == by_hand
    assert torch.allclose(16 * found.sum((1, 2)), torch.bincount(target.instances[target.instances >= 0].long()).float())
