"""The network that a training starts with."""

from pathlib import Path

import torch

from unipan.checkpoint import load_model, open_run
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.console import console
from unipan.models.build import build_network
from unipan.models.inherit import inherit
from unipan.models.network import PanopticNetwork
from unipan.models.warm_start import warm_start
from unipan.predictor import untrained_network
from unipan.recipes.training.summary import taken_table
from unipan.types import Admission


def training_admission(config: Config) -> Admission:
    """Which detections enter the potential while a network learns."""
    schedule = config.train
    return Admission(schedule.score_threshold, schedule.max_admitted, from_truth=schedule.detections == "truth")


def fresh_network(config: Config, classes: ClassTable) -> PanopticNetwork:
    """ImageNet's backbone, a Mask R-CNN or another run; what none of them gives is drawn from the seed."""
    torch.manual_seed(config.train.seed)
    if config.train.init:
        return _from_run(config, classes)
    if config.train.warm_start:
        return _from_mask_rcnn(config, classes)
    return build_network(config.model, classes)


def _from_run(config: Config, classes: ClassTable) -> PanopticNetwork:
    """The averaged or best weights, if the run has such: its model."""
    run = config.train.init
    network = untrained_network(config, classes)  # first: what starts anew follows from the seed alone
    folder, given_config, given_classes = open_run(run)
    given = untrained_network(given_config, given_classes)
    load_model(folder.model, given)
    ours, theirs = config.model.detector, given_config.model.detector
    anchors = [(detector.kind, detector.anchor_scale, detector.aspect_ratios) for detector in (ours, theirs)]
    report = inherit(
        network, given.state_dict(), classes=classes, given_classes=given_classes, same_anchors=anchors[0] == anchors[1]
    )
    console.print(taken_table(f"Started from {run}", report))
    return network


def _from_mask_rcnn(config: Config, classes: ClassTable) -> PanopticNetwork:
    network = untrained_network(config, classes)
    report = warm_start(
        network,
        Path(config.train.warm_start),
        things=[classes[index].name for index in classes.things],
        anchor_scale=config.model.detector.anchor_scale,
        aspect_ratios=config.model.detector.aspect_ratios,
    )
    console.print(taken_table(f"Warm start from {report.path.name}", report))
    return network
