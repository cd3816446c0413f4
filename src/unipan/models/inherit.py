"""Start from another run's weights, whose class table may be another: what fits is taken, classes keep their rows by name.

A layer with rows for classes is never taken by its shape alone: equally many classes need not be the same ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from unipan.classes import ClassTable
from unipan.errors import InputError

SEMANTIC = {"semantic_head.classifier": 1}
"""Layers with so many output rows for each class, in the table's order."""
THINGS = {"detector.classification_head.cls_logits": 1}
"""... for each thing class alone."""
BACKGROUND_AND_THINGS = {
    "detector.roi_heads.box_predictor.cls_score": 1,
    "detector.roi_heads.box_predictor.bbox_pred": 4,
    "detector.roi_heads.mask_predictor.mask_fcn_logits": 1,
}
"""... for the background, then for each thing class."""

OF_ANCHORS = ("detector.proposals.", "detector.regression_head.")
"""What these layers learnt is measured in anchors, and means nothing with others."""


@dataclass(frozen=True, kw_only=True)
class Inheritance:
    """What became of a run's weights."""

    taken: dict[str, int]
    """Tensors taken, wholly or by their classes' rows, by part of the network."""
    left: dict[str, str]
    """Layers that start anew, and why."""
    classes_taken: tuple[str, ...]
    classes_left: tuple[str, ...]
    """Classes whose rows come from the run, and those that start anew."""


def inherit(
    network: nn.Module, given: Mapping[str, Tensor], *, classes: ClassTable, given_classes: ClassTable, same_anchors: bool
) -> Inheritance:
    """Fill `network` from another's state dict, as far as it fits. same_anchors: both have the same anchors."""
    own = network.state_dict()
    rows = _class_rows(classes, given_classes)
    chosen: dict[str, Tensor] = {}
    left: dict[str, str] = {}
    for name, tensor in own.items():
        layer = name.rpartition(".")[0]
        value, reason = given.get(name), ""
        if value is None:
            reason = "the run has none"
        elif name.startswith(OF_ANCHORS) and not same_anchors:
            reason = "the run's anchors are others"
        elif layer in rows and value.shape[1:] == tensor.shape[1:] and not _for_all_classes(layer, tensor, value):
            value = _mixed(tensor, value, *rows[layer])
        if not reason and value is not None and value.shape != tensor.shape:
            reason = f"{_shape(given[name])} there, {_shape(tensor)} here"
        if reason or value is None:
            left.setdefault(layer, reason)
        else:
            chosen[name] = value
    if not any(name.startswith("backbone.") for name in chosen):
        raise InputError(
            "train.init: the run's backbone is another than this network's, so nothing would be left of it; set --model.backbone "
            "as in that run."
        )
    network.load_state_dict(chosen, strict=False)
    parts = [_part(name) for name in chosen]
    known = {(entry.name.lower(), entry.is_thing) for entry in given_classes.classes}
    kept = tuple(entry.name for entry in classes.classes if (entry.name.lower(), entry.is_thing) in known)
    return Inheritance(
        taken={part: parts.count(part) for part in dict.fromkeys(parts)},
        left=left,
        classes_taken=kept,
        classes_left=tuple(entry.name for entry in classes.classes if entry.name not in kept),
    )


def _class_rows(classes: ClassTable, given: ClassTable) -> dict[str, tuple[int, dict[int, int]]]:
    """For each layer of class rows: rows of a class, and our row block -> the run's, for the classes that both have."""
    every = _matched([c.name for c in classes.classes], [c.name for c in given.classes])
    ours, theirs = ([table[index].name for index in table.things] for table in (classes, given))
    things = _matched(ours, theirs)
    same_kind = {mine: its for mine, its in every.items() if classes[mine].is_thing == given[its].is_thing}
    behind_background = {0: 0} | {mine + 1: its + 1 for mine, its in things.items()}
    kinds = ((SEMANTIC, same_kind), (THINGS, things), (BACKGROUND_AND_THINGS, behind_background))
    return {layer: (each, blocks) for layers, blocks in kinds for layer, each in layers.items()}


def _for_all_classes(layer: str, *weights: Tensor) -> bool:
    """Whether one of the two has a single block of rows, which is no class's (`class_agnostic`)."""
    return layer in BACKGROUND_AND_THINGS and any(len(weight) == BACKGROUND_AND_THINGS[layer] for weight in weights)


def _matched(ours: list[str], theirs: list[str]) -> dict[int, int]:
    position = {name.lower(): index for index, name in enumerate(theirs)}
    return {index: position[name.lower()] for index, name in enumerate(ours) if name.lower() in position}


def _mixed(own: Tensor, given: Tensor, each: int, blocks: Mapping[int, int]) -> Tensor:
    """`own` with the row blocks of the classes that the run knows too."""
    mixed = own.clone().unflatten(0, (-1, each))
    source = given.to(own).unflatten(0, (-1, each))
    for mine, its in blocks.items():
        mixed[mine] = source[its]
    return mixed.flatten(0, 1)


def _part(name: str) -> str:
    """The part of the network that a tensor belongs to."""
    words = name.split(".")
    return ".".join(words[: 2 if words[0] == "detector" else 1])


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
