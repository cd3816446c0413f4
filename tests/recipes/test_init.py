"""--train.init: what fits is taken, classes keep their rows by name, the rest starts anew and is said."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from unipan.checkpoint import read_classes
from unipan.classes import ClassInfo, ClassTable
from unipan.config import Config, TrainConfig
from unipan.errors import InputError
from unipan.models.build import build_network
from unipan.models.inherit import Inheritance, inherit
from unipan.recipes.train import train
from unipan.recipes.training.setup import fresh_network


def table(*names: str) -> ClassTable:
    """Names in capitals are things."""
    return ClassTable(
        tuple(
            ClassInfo(name=name, is_thing=name.isupper(), dataset_id=position, color=(0, 0, 0), supercategory="")
            for position, name in enumerate(names, start=1)
        )
    )


THEIRS = table("sky", "BOAT", "sea", "GULL")
OURS = table("GULL", "reed", "SKY", "sea", "BOAT")  # another order, new ones, and a thing named as their stuff
SPELLINGS = table("A", "a", "bee", "BEE", "cow", "DOG")

SEMANTIC_ROWS = {0: 3, 3: 2, 4: 1}
THING_ROWS = {0: 1, 2: 0}  # our things GULL, SKY, BOAT; theirs BOAT, GULL


def inherited(
    config: Config, *, masks: bool, kind: str, same_anchors: bool = True, agnostic: tuple[bool, bool] = (False, False)
) -> tuple[dict, dict, dict, Inheritance]:
    """State dicts: theirs, ours before, ours after. agnostic: whether theirs, and ours, have one box and mask for all classes."""
    theirs, ours = (
        replace(config.model, masks=masks, detector=replace(config.model.detector, kind=kind, class_agnostic=one))
        for one in agnostic
    )
    torch.manual_seed(1)
    given = {
        name: torch.randn_like(t) if t.is_floating_point() else t
        for name, t in build_network(theirs, THEIRS).state_dict().items()
    }
    network = build_network(ours, OURS)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    report = inherit(network, given, classes=OURS, given_classes=THEIRS, same_anchors=same_anchors)
    return given, before, dict(network.state_dict()), report


def assert_rows(ours: Tensor, theirs: Tensor, before: Tensor, rows: dict[int, int], each: int = 1) -> None:
    for row in range(len(ours) // each):
        mine, its = slice(row * each, (row + 1) * each), rows.get(row)
        expected = before[mine] if its is None else theirs[its * each : (its + 1) * each]
        assert torch.equal(ours[mine], expected), row


def test_classes_keep_their_rows_by_name(tiny_config: Config) -> None:
    given, before, after, report = inherited(tiny_config, masks=True, kind="two_stage")
    heads = "detector.roi_heads."
    with_background = {0: 0} | {mine + 1: its + 1 for mine, its in THING_ROWS.items()}
    for layer, rows, each in (
        ("semantic_head.classifier", SEMANTIC_ROWS, 1),
        (heads + "box_predictor.cls_score", with_background, 1),
        (heads + "box_predictor.bbox_pred", with_background, 4),
        (heads + "mask_predictor.mask_fcn_logits", with_background, 1),
    ):
        for kind in ("weight", "bias"):
            name = f"{layer}.{kind}"
            assert_rows(after[name], given[name], before[name], rows, each)
    whole = [name for name, tensor in given.items() if tensor.shape == before[name].shape and "classifier" not in name]
    assert all(torch.equal(after[name], given[name]) for name in whole)
    assert (report.classes_taken, report.classes_left) == (("GULL", "sea", "BOAT"), ("reed", "SKY"))
    assert report.left == {}


def test_a_name_that_another_class_spells_in_capitals_keeps_its_own_row(tiny_config: Config) -> None:
    """Not that of the last one that would be alike in small letters, as `A` and `a` of letters in a text."""
    network = build_network(tiny_config.model, SPELLINGS)
    given = {name: torch.randn_like(t) if t.is_floating_point() else t for name, t in network.state_dict().items()}
    own = build_network(tiny_config.model, table("a", "A", "Bee", "bEE", "Cow", "dog"))
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    report = inherit(own, given, classes=table("a", "A", "Bee", "bEE", "Cow", "dog"), given_classes=SPELLINGS, same_anchors=True)
    name = "semantic_head.classifier.weight"
    assert_rows(own.state_dict()[name], given[name], before[name], {0: 1, 1: 0, 4: 4})
    assert report.classes_taken == ("a", "A", "Cow"), "which of two spellings bee is, no one can tell; dog was a thing"
    assert report.classes_left == ("Bee", "bEE", "dog")


@pytest.mark.parametrize("agnostic", [(True, False), (False, True), (True, True)])
def test_what_is_for_all_classes_is_no_class_s(tiny_config: Config, agnostic: tuple[bool, bool]) -> None:
    given, before, after, report = inherited(tiny_config, masks=True, kind="two_stage", agnostic=agnostic)
    layers = {"detector.roi_heads.box_predictor.bbox_pred", "detector.roi_heads.mask_predictor.mask_fcn_logits"}
    assert set(report.left) == (set() if all(agnostic) else layers)
    for name in (f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")):
        assert torch.equal(after[name], given[name] if all(agnostic) else before[name])


def test_the_one_stage_detector_has_no_row_for_the_background(tiny_config: Config) -> None:
    given, before, after, _ = inherited(tiny_config, masks=False, kind="one_stage")
    name = "detector.classification_head.cls_logits.weight"
    assert_rows(after[name], given[name], before[name], THING_ROWS)


def test_other_anchors_start_the_proposals_anew(tiny_config: Config) -> None:
    _, before, after, report = inherited(tiny_config, masks=False, kind="two_stage", same_anchors=False)
    rpn = [name for name in after if name.startswith("detector.proposals.") and before[name].is_floating_point()]
    assert rpn
    assert all(torch.equal(after[name], before[name]) for name in rpn)
    assert set(report.left.values()) == {"the run's anchors are others"}


def test_a_head_of_another_shape_starts_anew_and_is_named(tiny_config: Config) -> None:
    theirs = build_network(replace(tiny_config.model, affinity_dim=12), THEIRS).state_dict()
    network = build_network(tiny_config.model, THEIRS)
    report = inherit(network, theirs, classes=THEIRS, given_classes=THEIRS, same_anchors=True)
    assert list(report.left) == ["affinity_head.projection"]
    assert report.left["affinity_head.projection"].startswith("12x")


def test_another_backbone_is_refused(tiny_config: Config) -> None:
    network = build_network(tiny_config.model, THEIRS)
    with pytest.raises(InputError, match=r"train\.init: the run's backbone is another"):
        inherit(network, {"fpn.x": torch.ones(1)}, classes=THEIRS, given_classes=THEIRS, same_anchors=True)


def test_a_training_starts_from_a_run_and_goes_on_without_it(
    tiny_run: Path, tiny_config: Config, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    earlier = tmp_path / "earlier"
    shutil.copytree(tiny_run, earlier)
    categories = json.loads((earlier / "classes.json").read_text())
    categories[0]["name"] = "another"
    (earlier / "classes.json").write_text(json.dumps(categories))
    config = replace(tiny_config, train=replace(tiny_config.train, init=str(earlier), steps=2))
    classes = read_classes(tiny_run / "classes.json")
    start = fresh_network(config, classes).state_dict()
    again = fresh_network(config, classes).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in start.items())
    train(config, tmp_path / "run")
    message = " ".join(capfd.readouterr().err.split())
    assert "Started from" in message
    assert f"not known there: {classes[0].name}" in message
    shutil.rmtree(earlier)
    train(config, tmp_path / "run", resume=True)


def test_two_things_to_start_from_are_refused() -> None:
    with pytest.raises(InputError, match=r"train\.init \(runs/a\) and train\.warm_start \(b\.pth\) both"):
        TrainConfig(init="runs/a", warm_start="b.pth")


def test_what_cannot_be_started_from_leaves_no_folder(tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for name in ("config.json", "classes.json"):  # a run that was stopped before it had a model
        shutil.copy(tiny_run / name, given)
    with pytest.raises(InputError, match="given"):
        train(replace(tiny_config, train=replace(tiny_config.train, init=str(given))), tmp_path / "new")
    assert not (tmp_path / "new").exists()
