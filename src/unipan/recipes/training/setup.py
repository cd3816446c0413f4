"""What a training starts with: its network, what is said of it before, and whether its steps can be shared as asked."""

from pathlib import Path

import torch
from torch import nn

from unipan.checkpoint import load_model, open_run
from unipan.classes import ClassTable
from unipan.config import Config, TrainConfig
from unipan.console import Table, logger
from unipan.engine.forks import available_processors
from unipan.engine.optimize import scaled_rate
from unipan.errors import InputError, plural
from unipan.models.build import build_network, untrained_network
from unipan.models.given_weights import PUBLISHED
from unipan.models.inherit import Inheritance, inherit
from unipan.models.network import PanopticNetwork
from unipan.models.warm_start import WarmStart, warm_start
from unipan.types import Admission


def check_divisible(config: Config, processes: int) -> None:
    """Refuse a batch that does not make equal shares, and Lovasz groups that would straddle two of them."""
    schedule = config.train
    shares = processes * schedule.accumulate
    where = f"{processes} processes x train.accumulate {schedule.accumulate}"
    size, rest = divmod(schedule.batch_size, shares)
    if rest:
        raise InputError(
            f"train.batch_size {schedule.batch_size} cannot be shared by {where}; it must be a multiple of {shares}."
        )
    group = config.loss.group
    if shares > 1 and config.loss.semantic_lovasz > 0 and size % group:
        raise InputError(
            f"train.batch_size {schedule.batch_size} over {where} gives shares of {size} images, but one Lovasz-softmax takes "
            f"loss.group {group}, which would straddle them; choose a batch that is a multiple of {shares * group}, or fewer "
            "shares, or a smaller --loss.group."
        )


def training_admission(config: Config) -> Admission:
    """Which detections enter the potential while a network learns."""
    schedule = config.train
    return Admission(schedule.score_threshold, schedule.max_admitted, from_truth=schedule.detections == "truth", every_mask=False)


def fresh_network(config: Config, classes: ClassTable) -> PanopticNetwork:
    """ImageNet's backbone, a Mask R-CNN or another run; what none of them gives is drawn from the seed."""
    torch.manual_seed(config.train.seed)
    if config.train.init:
        return _from_run(config, classes)
    if config.train.warm_start:
        return _from_mask_rcnn(config, classes)
    if config.model.backbone.partition(".")[0] == "resnet50" and config.model.detector.kind == "two_stage":
        start = (
            "The backbone alone starts from trained weights" if config.model.pretrained else "Nothing starts from trained weights"
        )
        logger.info(f"{start}; --train.warm-start {PUBLISHED} starts backbone and detector from a Mask R-CNN trained on COCO.")
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
    logger.info(taken_table(f"Started from {run}", report))
    return network


def _from_mask_rcnn(config: Config, classes: ClassTable) -> PanopticNetwork:
    network = untrained_network(config, classes)
    report = warm_start(
        network,
        config.train.warm_start,
        things=[classes[index].name for index in classes.things],
        anchor_scale=config.model.detector.anchor_scale,
        aspect_ratios=config.model.detector.aspect_ratios,
    )
    logger.info(taken_table(f"Warm start from {Path(report.source).name}", report))
    return network


def training_table(
    config: Config, network: nn.Module, classes: ClassTable, *, num_images: int, device: str, processes: int
) -> Table:
    """The run's network, schedule and device. num_images: of the training set. processes: that share each step."""
    schedule, model = config.train, config.model
    seen, rate = schedule.steps * schedule.batch_size, base_rate(config)
    scaled = (
        f" ({schedule.learning_rate:g} is meant for {schedule.reference_batch_size})" if schedule.reference_batch_size else ""
    )
    unified = f", variant {model.variant}, propagation {model.propagation}" if model.panoptic == "unified" else ""
    epochs = f"{seen / num_images:.3g}" if 100 * seen >= num_images else "under 0.01"
    parts = {
        "network": f"{model.backbone}, {model.detector.kind} detector, panoptic head {model.panoptic}{unified}",
        "classes": f"{len(classes.stuff)} stuff, {plural(len(classes.things), 'thing')}",
        "parameters": _parameters(network),
        "frozen": "batch-norm statistics of the backbone" if model.freeze_batchnorm else "nothing",
        "batch": _batch(config, processes),
        "learning rate": f"{rate:g}{scaled}, {schedule.optimizer}",
        "steps": f"{schedule.steps}, {_course(schedule)}",
        "images seen": f"{seen}, {epochs} epochs of {num_images}",
        "device": f"{device}, with CUDA graphs" if schedule.cuda_graphs else device,
        "loading": _loading(schedule.workers),
        "precision": schedule.precision,
    }
    table = Table("Training", show_header=False)
    for name, value in parts.items():
        table.add_row(name, value)
    return table


def taken_table(title: str, report: WarmStart | Inheritance) -> Table:
    """What a training starts from: what was taken, what starts anew, and why."""
    table = Table(title, "part", "", "why", words=3)
    for part, count in report.taken.items():
        table.add_row(part, plural(count, "tensor"), "")
    for part, reason in report.left.items():
        table.add_row(part, "starts anew", reason)
    if report.classes_taken:
        table.add_row("classes", "kept", ", ".join(report.classes_taken))
    if report.classes_left:
        table.add_row("classes", "start anew", f"not known there: {', '.join(report.classes_left)}")
    return table


def _course(schedule: TrainConfig) -> str:
    """The course of the rate: the warm-up, and what becomes of it then."""
    if schedule.warmup_steps >= schedule.steps:
        return f"all within the warm-up of {schedule.warmup_steps}: the full rate is not reached"
    return f"of them {schedule.warmup_steps} warm-up; {_decay(schedule)}"


def _decay(schedule: TrainConfig) -> str:
    """What becomes of the rate after the warm-up."""
    if schedule.schedule == "cosine":
        return "rate falls to 0 along half a cosine"
    decays = [str(step) for step in schedule.decay_steps if step < schedule.steps]
    return f"rate divided by 10 after {', '.join(decays)}" if decays else "the rate is never divided"


def _batch(config: Config, processes: int) -> str:
    """The images of one optimiser step, which the learning rate goes with, and how they are shared."""
    schedule = config.train
    each = schedule.batch_size // processes // schedule.accumulate
    parts = [f"{processes} processes"] if processes > 1 else []
    parts += [f"{schedule.accumulate} passes"] if schedule.accumulate > 1 else []
    return plural(schedule.batch_size, "image") + (f": {' x '.join([*parts, str(each)])}" if parts else "")


def _loading(workers: int) -> str:
    cores = available_processors()
    more = f", more than the {cores} cores here: --train.workers {cores} is as quick" if workers > cores else ""
    return f"{plural(workers, 'process', 'processes')}{more}" if workers else "in the training's own process"


def base_rate(config: Config) -> float:
    """The learning rate after warm-up, for the run's own batch size."""
    schedule = config.train
    return scaled_rate(schedule.learning_rate, batch_size=schedule.batch_size, reference_batch_size=schedule.reference_batch_size)


def _parameters(network: nn.Module) -> str:
    every = sum(parameter.numel() for parameter in network.parameters())
    trained = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    return f"{every / 1e6:.1f} M, {trained / 1e6:.1f} M of them trained"
