"""Trainings of a few tiny scenes that one process, several passes and several processes must agree on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from seen import Seen
from torch import Tensor

from unipan.classes import VOID
from unipan.config import Config, DetectorConfig, LossConfig, ModelConfig
from unipan.data.build import augmentation, training_dataset
from unipan.data.dataset import PanopticDataset
from unipan.data.loader import StepBatches, training_batches
from unipan.engine.fit import Step, Trainer, fit
from unipan.engine.guards import Guard
from unipan.engine.optimize import build_optimizer, learning_rate
from unipan.engine.runtime import Runtime
from unipan.losses.build import build_criterion
from unipan.models.build import build_network
from unipan.ops.unit_floats import unit_floats
from unipan.presets import cityscapes_r50, scenes
from unipan.types import Admission, Batch, Target

BATCH = 4


@dataclass(frozen=True)
class Case:
    """A training; `passes` and the number of processes are not to matter."""

    steps: int
    kind: Literal["two_stage", "one_stage"] = "two_stage"
    masks: bool = True
    group: int = 1
    empty_half: bool = False
    """Take all things out of the second half of every batch: the second process has none."""
    precision: Literal["fp64", "fp32", "bf16"] = "fp64"
    """fp64 tells rounding from a wrong step: in float32 kinks and choices such as NMS let the last bit grow."""
    rates: Literal["constant", "warm-up"] = "constant"
    """0.01 throughout, or the rates with which `cityscapes_r50` begins, a third of it at first."""


class Trained(NamedTuple):
    """What came of it."""

    steps: list[Step]
    weights: dict[str, Tensor]
    momentum: list[str]  # names of the parameters that have one


def settings(case: Case) -> Config:
    detector = DetectorConfig(
        kind=case.kind, proposals_before_nms=40, proposals=20, rpn_samples=32, roi_samples=16, box_channels=16, mask_channels=16
    )
    small = scenes()
    model = ModelConfig(
        backbone="resnet10t",
        pretrained=False,
        fpn_channels=16,
        decoder_channels=(16, 16),
        affinity_dim=8,
        masks=case.masks,
        variant="B" if case.masks else "A",
        detector=detector,
    )
    data = replace(small.data, scene_size=(40, 48))
    return replace(small, model=model, data=data, loss=LossConfig(semantic_lovasz=1.0, panoptic_lovasz=0.5, group=case.group))


def rate_of(case: Case, step: int) -> float:
    begin = cityscapes_r50().train
    warmup = begin.warmup_steps if case.rates == "warm-up" else 0
    return learning_rate(
        step, base=begin.learning_rate, warmup_steps=warmup, warmup_factor=begin.warmup_factor, decay_steps=begin.decay_steps
    )


def without_things(target: Target) -> Target:
    """The same truth, its things turned into void."""
    return replace(
        target,
        boxes=target.boxes[:0],
        labels=target.labels[:0],
        instances=torch.full_like(target.instances, -1),
        semantic=target.semantic.where(target.instances < 0, VOID),
    )


def prepared_for(case: Case, batches: Iterator[Batch], positions: range) -> Iterator[Batch]:
    """The batches in the case's precision and, if it wants that, without some things. positions: this process's among `BATCH`."""
    for batch in batches:
        targets = list(batch.targets)
        if case.empty_half:
            targets = [without_things(t) if position >= BATCH // 2 else t for position, t in zip(positions, targets, strict=True)]
        images = batch.images
        if case.precision == "fp64":
            images, targets = unit_floats(images).double(), [replace(target, boxes=target.boxes.double()) for target in targets]
        yield replace(batch, images=images, targets=tuple(targets))


@contextmanager
def one_thread() -> Iterator[None]:
    """How many threads share an operation changes its last bits; the pair of processes has one each."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@one_thread()
def train_case(case: Case, folder: Path, *, passes: int = 1) -> Trained:
    """Train in this process's share, whatever it was launched as, on one thread."""
    config = settings(case)
    runtime = Runtime(device="cpu", precision="bf16" if case.precision == "bf16" else "fp32")
    dataset: PanopticDataset = training_dataset(config.data, 0)
    torch.manual_seed(runtime.processes.index)  # each begins with weights of its own: the main process's must win
    network = build_network(config.model, dataset.classes).to(torch.float64 if case.precision == "fp64" else torch.float32)
    process, processes = runtime.processes.index, runtime.processes.count
    share = StepBatches(
        dataset=dataset,
        augmentation=augmentation(config.data),
        min_thing_px=4,
        batch_size=BATCH,
        seed=5,
        process=process,
        processes=processes,
    )
    batches = training_batches(share, range(case.steps), 0)
    prepared = runtime.prepare(network)
    optimizer = build_optimizer(network, "sgd", momentum=0.9, weight_decay=1e-4)
    seen = Seen()
    trainer = Trainer(
        network=prepared,
        criterion=build_criterion(config.loss, dataset.classes, void_channel=False),
        optimizer=optimizer,
        runtime=runtime,
        rate=lambda step: rate_of(case, step),
        seed=5,
        clip_norm=10.0,
        admission=Admission(0.05, 5),
        passes=passes,
        guard=Guard(folder, "stop", process=process, processes=processes),
    )
    own = range(process * BATCH // processes, (process + 1) * BATCH // processes)
    fit(trainer, prepared_for(case, batches, own), [seen], first_step=1)
    moved = [name for name, parameter in network.named_parameters() if "momentum_buffer" in optimizer.state.get(parameter, {})]
    return Trained(seen.steps, {name: tensor.clone() for name, tensor in network.state_dict().items()}, moved)


def differences(one: Trained, other: Trained) -> list[float]:
    """Of each tensor the largest difference of a weight, as a share of its largest weight."""
    pairs = [(tensor.double(), other.weights[name].double()) for name, tensor in one.weights.items()]
    return [((a - b).abs().max() / b.abs().max().clamp(min=1e-3)).item() for a, b in pairs]


def worst_difference(one: Trained, other: Trained) -> float:
    return max(differences(one, other))


def share_of_the_way(one: Trained, other: Trained, start: dict[str, Tensor]) -> float:
    """How far the weights of two trainings are apart, as a share of how far the other has come from its start."""

    def distance(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
        return sum((tensor.double() - b[name].double()).square().sum().item() for name, tensor in a.items()) ** 0.5

    return distance(one.weights, other.weights) / distance(start, other.weights)


def losses_of(trained: Trained) -> Tensor:
    """(steps, terms), the total first."""
    assert len({tuple(step.losses) for step in trained.steps}) == 1
    return torch.tensor([list(step.losses.values()) for step in trained.steps], dtype=torch.float64)


SHARED = Case(steps=10, group=2)
"""Two stages with masks, Lovasz losses over groups of two images; over two processes each group stays in one."""
ONE_SIDED = Case(steps=8, kind="one_stage", empty_half=True)
SHORT = Case(steps=3)
FULL = Case(steps=3, precision="fp32")
ROUNDED = Case(steps=8, group=2, precision="fp32", rates="warm-up")
LONG = replace(ROUNDED, steps=20)
LOWERED = Case(steps=3, precision="bf16")
