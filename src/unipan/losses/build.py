"""Where the settings of the losses stop."""

from dataclasses import replace

from unipan.classes import ClassTable
from unipan.config import Config, LossConfig
from unipan.losses.criterion import Criterion


def criterion_of(config: Config, classes: ClassTable) -> Criterion:
    """The criterion of a run; only the unified head has an affinity and an existence to learn."""
    unified = config.model.panoptic == "unified"
    loss = config.loss if unified else replace(config.loss, affinity=0.0, affinity_rivals=0.0)
    existence = unified and config.model.existence
    return build_criterion(loss, classes, void_channel=config.model.void_channel, existence=existence)


def build_criterion(config: LossConfig, classes: ClassTable, *, void_channel: bool, existence: bool = False) -> Criterion:
    """The criterion of these weights. void_channel, existence: as in the model's settings."""
    weights = {
        "semantic": config.semantic,
        "semantic_lovasz": config.semantic_lovasz,
        "panoptic": config.panoptic,
        "panoptic_lovasz": config.panoptic_lovasz,
        "affinity": config.affinity,
        "affinity_rivals": config.affinity_rivals,
        "existence": config.existence if existence else 0.0,
        "rpn_objectness": config.rpn,
        "rpn_box": config.rpn,
        "box_class": config.box,
        "box_regression": config.box,
        "centerness": config.box,
        "mask": config.mask,
    }
    return Criterion(weights=weights, group=config.group, stuff=classes.stuff, void_channel=void_channel)
