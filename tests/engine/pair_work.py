"""What the pair of processes does, in this order: `test_processes.py` compares what comes of it."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from pair import command, meet_again
from process_cases import LONG, LOWERED, ONE_SIDED, ROUNDED, SHARED, SHORT, Trained, train_case
from torch import nn

from unipan.checkpoint import RunFolder
from unipan.engine.gradients import add_gradients
from unipan.engine.processes import this_process
from unipan.engine.runtime import Runtime
from unipan.errors import InputError
from unipan.predictor import Predictor
from unipan.presets import demo
from unipan.recipes.train import train
from unipan.recipes.training import validation
from unipan.recipes.training.checkpoints import saved_steps
from unipan.settings_file import load_config


def shared(folder: Path) -> Trained:
    return train_case(SHARED, folder)


def one_sided(folder: Path) -> Trained:
    return train_case(ONE_SIDED, folder)


def in_float32(folder: Path) -> Trained:
    return train_case(ROUNDED, folder)


def for_longer(folder: Path) -> Trained:
    """Not in WORK: only a slow test asks for it."""
    return train_case(LONG, folder)


def in_passes(folder: Path) -> Trained:
    return train_case(SHORT, folder, passes=2)


def lowered(folder: Path) -> Trained:
    return train_case(LOWERED, folder)


def talk(_: Path) -> tuple:
    processes = this_process()
    mine = [f"{processes.index}{letter}" for letter in "ab"[: 2 - processes.index]]  # another number of objects in each
    own = torch.tensor([1.0, 10.0]) * (processes.index + 1)
    result = torch.full((2,), float(processes.index))
    processes.broadcast(result)
    return (
        (processes.index, processes.count, processes.is_main),
        processes.gather_objects(mine),
        processes.all_reduce(own).tolist(),
        own.tolist(),
        [processes.any_of(flag) for flag in (False, processes.index == 1, True)],
        result.tolist(),
    )


def sums(_: Path) -> list[list[float] | None]:
    """Gradients of three weights: the first has one everywhere, the second in process 1 alone, the third nowhere."""
    weights = [nn.Parameter(torch.zeros(2, 1)) for _ in range(3)]
    frozen = nn.Parameter(torch.zeros(1), requires_grad=False)
    weights[0].grad = torch.full((2, 1), 2.0 + this_process().index)
    if this_process().index == 1:
        weights[1].grad = torch.tensor([[3.0], [4.0]])
    add_gradients([*weights, frozen], this_process())
    return [None if w.grad is None else w.grad.flatten().tolist() for w in weights]


def overflow(_: Path) -> tuple[float, float, float]:
    """Steps of one weight under a gradient scaler; in the second only process 1 overflows."""
    runtime = Runtime(device="cpu")
    runtime.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    weight = nn.Parameter(torch.tensor(1.0))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    seen: list[float] = []
    for gradient in (0.1, inf if this_process().index == 1 else 0.1):
        runtime.backward(weight * gradient)
        runtime.add_gradients([weight])
        runtime.clip(optimizer, [weight], 10.0)
        runtime.step(optimizer)
        optimizer.zero_grad()
        seen.append(weight.item())
    return seen[0], seen[1], runtime.scaler_state["scale"].item()


SETTINGS = [
    *("--model.no-pretrained", "--model.backbone", "resnet10t", "--model.fpn-channels", "16", "--model.decoder-channels", "16"),
    *("--data.scene-size", "40", "48", "--data.val-scenes", "3"),
    *("--train.batch-size", "2", "--train.workers", "0", "--train.warmup-steps", "1", "--train.device", "cpu"),
]


def trains(folder: Path) -> tuple[int, str, str]:
    """Three steps by the command line. It parts at its end, so what follows meets again."""
    return command(["train", "demo", *SETTINGS, "--train.steps", "3", "--train.save-every", "2", "--out", str(folder / "run")])


def judges(folder: Path) -> list[float]:
    """A training that fine-tunes its batch norms; sums of the statistics with which this process judges."""
    evaluate, sums = validation.evaluate_predictor, list[float]()

    def judged(predictor: Predictor, *rest: Any) -> Any:
        sums.append(sum(buffer.double().sum().item() for buffer in predictor.network.buffers()))
        return evaluate(predictor, *rest)

    config = demo()
    small = {"pretrained": False, "backbone": "resnet10t", "fpn_channels": 16, "decoder_channels": (16, 16)}
    schedule = {"steps": 2, "batch_size": 2, "workers": 0, "warmup_steps": 1, "device": "cpu", "evaluate_every": 1}
    config = replace(
        config,
        model=replace(config.model, freeze_batchnorm=False, **small),
        data=replace(config.data, scene_size=(40, 48), val_scenes=3),
        train=replace(config.train, **schedule),
    )
    with patch.object(validation, "evaluate_predictor", judged):
        train(config, folder / "judged")
    return sums


def at_the_second_image_of_process_1(happens: Callable[[], object]) -> AbstractContextManager[object]:
    """Within, it happens there and nowhere else."""
    from unipan.data.scenes.dataset import SceneDataset

    read = SceneDataset.__getitem__
    reads: list[int] = []

    def reading(self: SceneDataset, index: int):
        reads.append(index)
        if os.environ["RANK"] == "1" and len(reads) == 2:
            happens()
        return read(self, index)

    return patch.object(SceneDataset, "__getitem__", reading)


def stops(folder: Path) -> tuple[tuple[int, str, str], list[int]]:
    """The same training, but process 1 alone gets a SIGTERM in its second step; and it goes on, without having parted."""
    meet_again()
    out = folder / "stopped"
    with at_the_second_image_of_process_1(lambda: os.kill(os.getpid(), signal.SIGTERM)):
        result = command(["train", "demo", *SETTINGS, "--train.steps", "3", "--train.save-every", "3", "--out", str(out)])
    steps = saved_steps(RunFolder(out))
    train(load_config(out / "config.json"), out, resume=True)
    return result, steps


def fails(folder: Path) -> tuple[int, str, str, float]:
    """A training in which process 1 alone cannot read its second image."""

    def cannot() -> None:
        raise InputError("cannot read b.png.")

    began = time.monotonic()
    with at_the_second_image_of_process_1(cannot):
        result = command(["train", "demo", *SETTINGS, "--train.steps", "3", "--out", str(folder / "failed")])
    if os.environ["RANK"] == "1":
        torch.distributed.destroy_process_group()  # as its exit would
    return *result, time.monotonic() - began


WORK = [talk, sums, overflow, shared, one_sided, in_float32, in_passes, lowered, judges, trains, stops, fails]
