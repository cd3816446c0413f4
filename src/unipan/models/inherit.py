"""Start from another run's weights, whose class table may be another: what fits is taken, classes keep their rows by name.

A layer with rows for classes is never taken by its shape alone: equally many classes need not be the same ones. Which these are
in a detector, the detector says (`Detector.class_rows`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.models.class_rows import mixed_rows
from unipan.models.network import PanopticNetwork

SEMANTIC = "semantic_head.classifier"
"""A row for each class, stuff too."""
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
    network: PanopticNetwork, given: Mapping[str, Tensor], *, classes: ClassTable, given_classes: ClassTable, same_anchors: bool
) -> Inheritance:
    """Fill `network` from another's state dict, as far as it fits. same_anchors: both have the same anchors."""
    own = network.state_dict()
    rows = _class_rows(network, classes, given_classes)
    chosen: dict[str, Tensor] = {}
    left: dict[str, str] = {}
    for name, tensor in own.items():
        layer = name.rpartition(".")[0]
        value, reason = given.get(name), ""
        if value is None:
            reason = "the run has none"
        elif name.startswith(OF_ANCHORS) and not same_anchors:
            reason = "the run's anchors are others"
        elif layer in rows:
            value = mixed_rows(tensor, value, *rows[layer])
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
    kept = tuple(classes[index].name for index in rows[SEMANTIC][1])
    return Inheritance(
        taken={part: parts.count(part) for part in dict.fromkeys(parts)},
        left=left,
        classes_taken=kept,
        classes_left=tuple(entry.name for entry in classes.classes if entry.name not in kept),
    )


def _class_rows(network: PanopticNetwork, classes: ClassTable, given: ClassTable) -> dict[str, tuple[int, dict[int, int]]]:
    """For each layer of class rows: rows of a class, and our row block -> the run's, for the classes that both have."""
    every = _matched([c.name for c in classes.classes], [c.name for c in given.classes])
    ours, theirs = ([table[index].name for index in table.things] for table in (classes, given))
    things = _matched(ours, theirs)
    same_kind = {mine: its for mine, its in every.items() if classes[mine].is_thing == given[its].is_thing}
    behind_background = {0: 0} | {mine + 1: its + 1 for mine, its in things.items()}
    layers = network.detector.class_rows().items()
    of_things = {f"detector.{name}": (rows.each, behind_background if rows.background else things) for name, rows in layers}
    return {SEMANTIC: (1, same_kind)} | of_things


def _matched(ours: list[str], theirs: list[str]) -> dict[int, int]:
    """Our index -> the run's, of the same name, or of one that differs in case alone, where it can mean no other."""
    exact = {name: index for index, name in enumerate(theirs)}
    found = {index: exact[name] for index, name in enumerate(ours) if name in exact}
    spellings = Counter(name.lower() for name in {*ours, *theirs})
    others = {name.lower(): index for name, index in exact.items() if name not in ours and spellings[name.lower()] == 2}
    near = {index: others[name.lower()] for index, name in enumerate(ours) if index not in found and name.lower() in others}
    return dict(sorted((found | near).items()))


def _part(name: str) -> str:
    """The part of the network that a tensor belongs to."""
    words = name.split(".")
    return ".".join(words[: 2 if words[0] == "detector" else 1])


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
