"""Two processes against one: the same losses and weights, whatever each has to learn from; and one's end is everyone's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from pair import Together, command, meet_again, run_pair
from process_cases import FULL, LOWERED, ONE_SIDED, SHARED, SHORT, Case, Trained, losses_of, train_case, worst_difference
from torch import nn

from unipan.checkpoint import RunFolder
from unipan.config import load_config
from unipan.engine.gradients import add_gradients
from unipan.engine.processes import Processes, here
from unipan.engine.runtime import Runtime
from unipan.errors import InputError
from unipan.recipes.evaluate import evaluate
from unipan.recipes.train import train
from unipan.recipes.training.saving import saved_steps

ROUNDING = 1e-12
"""Between float64 trainings that add the same numbers in another order."""


def shared(folder: Path) -> Trained:
    return train_case(SHARED, folder)


def one_sided(folder: Path) -> Trained:
    return train_case(ONE_SIDED, folder)


def in_passes(folder: Path) -> Trained:
    return train_case(SHORT, folder, passes=2)


def lowered(folder: Path) -> Trained:
    return train_case(LOWERED, folder)


def talk(_: Path) -> tuple:
    processes = here()
    mine = [f"{processes.index}{letter}" for letter in "ab"[: 2 - processes.index]]  # another number of objects in each
    own = torch.tensor([1.0, 10.0]) * (processes.index + 1)
    told = torch.full((2,), float(processes.index))
    processes.share(told)
    return (
        (processes.index, processes.count, processes.is_main),
        processes.gather_objects(mine),
        processes.total(own).tolist(),
        own.tolist(),
        [processes.any_of(flag) for flag in (False, processes.index == 1, True)],
        told.tolist(),
    )


def sums(_: Path) -> list[list[float] | None]:
    """Gradients of three weights: the first has one everywhere, the second in process 1 alone, the third nowhere."""
    weights = [nn.Parameter(torch.zeros(2, 1)) for _ in range(3)]
    frozen = nn.Parameter(torch.zeros(1), requires_grad=False)
    weights[0].grad = torch.full((2, 1), 2.0 + here().index)
    if here().index == 1:
        weights[1].grad = torch.tensor([[3.0], [4.0]])
    add_gradients([*weights, frozen], here())
    return [None if w.grad is None else w.grad.flatten().tolist() for w in weights]


def overflow(_: Path) -> tuple[float, float, float]:
    """Steps of one weight under a gradient scaler; in the second only process 1 overflows."""
    runtime = Runtime(device="cpu")
    runtime.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    weight = nn.Parameter(torch.tensor(1.0))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    seen: list[float] = []
    for gradient in (0.1, inf if here().index == 1 else 0.1):
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


def at_the_second_image_of_process_1(happens: Callable[[], object]) -> AbstractContextManager[object]:
    """Within, it happens there and nowhere else."""
    from unipan.data.scenes import SceneDataset

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
        told = command(["train", "demo", *SETTINGS, "--train.steps", "3", "--train.save-every", "3", "--out", str(out)])
    steps = saved_steps(RunFolder(out))
    train(load_config(out / "config.json"), out, resume=True)
    return told, steps


def fails(folder: Path) -> tuple[int, str, str, float]:
    """A training in which process 1 alone cannot read its second image."""

    def cannot() -> None:
        raise InputError("cannot read b.png.")

    began = time.monotonic()
    with at_the_second_image_of_process_1(cannot):
        told = command(["train", "demo", *SETTINGS, "--train.steps", "3", "--out", str(folder / "failed")])
    if os.environ["RANK"] == "1":
        torch.distributed.destroy_process_group()  # as its exit would
    return *told, time.monotonic() - began


WORK = [talk, sums, overflow, shared, one_sided, in_passes, lowered, trains, stops, fails]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Together:
    return run_pair(WORK, tmp_path_factory.mktemp("pair"), seconds=600)


def test_alone_nothing_waits() -> None:
    processes = here()
    assert processes == Processes(0, 1)
    assert processes.is_main
    processes.barrier()
    assert processes.gather_objects([1, 2]) == [1, 2]
    assert processes.total(torch.tensor(3.0)) == 3
    assert not processes.any_of(False)


def test_both_end_well(together: Together) -> None:
    assert together.codes == [0, 0]


def test_what_they_tell_each_other(together: Together) -> None:
    first, second = together["talk"]
    assert (first[0], second[0]) == ((0, 2, True), (1, 2, False))
    for _, gathered, total, _, flags, told in (first, second):
        assert gathered == ["0a", "0b", "1a"]
        assert total == [3.0, 30.0]
        assert flags == [False, True, True]
        assert told == [0.0, 0.0]
    assert second[3] == [2.0, 20.0], "what is summed is left as it is"


def test_gradients_are_summed_and_none_stays_none(together: Together) -> None:
    assert together["sums"] == [[[5.0, 5.0], [3.0, 4.0], None]] * 2


def test_an_overflow_in_one_process_leaves_the_step_out_in_both(together: Together) -> None:
    for before, after, scale in together["overflow"]:
        assert before == pytest.approx(0.9)  # 1 - 0.5 * (0.1 + 0.1)
        assert after == before
        assert scale == 512.0


@pytest.mark.parametrize(("name", "case"), [("shared", SHARED), ("one_sided", ONE_SIDED), ("in_passes", SHORT)])
def test_two_processes_train_as_one(name: str, case: Case, together: Together, alone: Callable[[Case], Trained]) -> None:
    whole = alone(case)
    assert losses_of(whole)[0, 0] > losses_of(whole)[-1, 0], "or nothing was learnt that could differ"
    for trained in together[name]:
        torch.testing.assert_close(losses_of(trained), losses_of(whole), rtol=1e-6, atol=1e-9)
        assert worst_difference(trained, whole) < ROUNDING
        assert trained.momentum == whole.momentum
        norms = [[step.gradient_norm for step in one.steps] for one in (trained, whole)]
        assert norms[0] == pytest.approx(norms[1], rel=1e-9)


def test_both_have_the_same_bits(together: Together) -> None:
    for name in ("shared", "one_sided", "in_passes", "lowered"):
        first, second = together[name]
        assert first.steps == second.steps
        assert all(torch.equal(tensor, second.weights[key]) for key, tensor in first.weights.items())


def test_one_process_without_things_is_told_from_none(alone: Callable[[Case], Trained]) -> None:
    """The case above is one: half of the images have things, and those of the second process none."""
    with_things = alone(Case(steps=1, kind="one_stage"))
    assert alone(ONE_SIDED).steps[0].losses["loss/box_class"] != with_things.steps[0].losses["loss/box_class"]


def test_bf16_in_two_processes_stays_near_one_and_near_float32(together: Together, alone: Callable[[Case], Trained]) -> None:
    """Each term within 3 % and 0.02 of bfloat16's in one process, the total within 3 % of float32's: 8 bits are 0.4 %."""
    one, full = losses_of(alone(LOWERED)), losses_of(alone(FULL))
    two = losses_of(together["lowered"][0])
    torch.testing.assert_close(two, one, rtol=0.03, atol=0.02)
    torch.testing.assert_close(two[:, 0], full[:, 0], rtol=0.03, atol=0)
    assert not torch.equal(two, full), "or nothing was lowered"


def test_the_command_writes_one_run_that_can_be_evaluated(together: Together) -> None:
    (status, out, err), (other_status, other_out, other_err) = together["trains"]
    assert (status, other_status) == (0, 0)
    assert "Trained into" in out
    assert "2 images" in err
    assert (other_out, other_err) == ("", ""), "one process speaks for both"
    folder = RunFolder(together.folder / "run")
    assert len(folder.log.read_text().splitlines()) == 3
    assert evaluate(str(folder.path), device="cpu").to_json()


def test_a_signal_to_one_stops_both_and_they_go_on_to_the_same_bytes(together: Together) -> None:
    (told, steps), (other_told, other_steps) = together["stops"]
    assert (told[0], other_told[0]) == (143, 143)
    assert steps == other_steps == [2]
    assert "unipan: stopped by SIGTERM after step 2 of 3, which is saved; give the same command with --resume" in told[2]
    assert other_told[1:] == ("", ""), "one process speaks for both"
    for name in ("model.safetensors", "checkpoints/step-00000003.safetensors"):
        assert (together.folder / "stopped" / name).read_bytes() == (together.folder / "run" / name).read_bytes()


def test_one_failure_ends_both_with_its_message(together: Together) -> None:
    (status, _, err, seconds), (other_status, _, other_err, other_seconds) = together["fails"]
    assert (status, other_status) == (2, 2)
    assert max(seconds, other_seconds) < 20
    assert "unipan (rank 1 of 2): cannot read b.png." in other_err
    assert "unipan (rank 0 of 2): another process has ended" in err
    assert "b.png" not in err


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"],
        [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"],
    ],
    ids=["torchrun", "accelerate"],
)
def test_real_launchers(launcher: list[str], tmp_path: Path) -> None:
    """Two processes meet, share a step, and end with what one says; the launcher's report follows a failure."""
    run = [*launcher, "-m", "unipan", "train", "demo", *SETTINGS, "--train.steps", "3", "--out", str(tmp_path / "run")]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=300)
    assert "2 images: 2 processes" in done.stderr
    assert done.stdout.count("Trained into") == 1
    failed = subprocess.run(run, capture_output=True, text=True, check=False, timeout=300)
    assert failed.returncode == 1
    assert "unipan (rank 0 of 2): " in failed.stderr
    assert "holds a run already" in failed.stderr
