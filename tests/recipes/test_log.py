"""The log: its numbers, its times, and the warnings that are planted here one by one."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unipan.classes import VOID, ClassInfo, ClassTable
from unipan.config import Config
from unipan.engine.fit import Step
from unipan.errors import InputError
from unipan.recipes.train import train
from unipan.recipes.training.health import Health
from unipan.recipes.training.log import VARYING, WINDOW, Log, Stopwatch, read_log, trim_log
from unipan.types import Batch, Detections, Outputs, Target

NAMES = ("sky", "sea", "boat", "gull")
CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=position > 1, dataset_id=position + 1, color=(0, 0, 0), supercategory=name)
        for position, name in enumerate(NAMES)
    )
)


def batch(*classes: int) -> Batch:
    """One image of pixels of these classes (255 is void), with one boat at 0 0 4 4."""
    semantic = torch.tensor([list(classes)], dtype=torch.int16)
    target = Target(
        boxes=torch.tensor([[0.0, 0.0, 4.0, 4.0]]),
        labels=torch.tensor([2]),
        instances=torch.full(semantic.shape, -1, dtype=torch.int32),
        semantic=semantic,
    )
    return Batch(images=torch.zeros(1, 3, *semantic.shape), sizes=(tuple(semantic.shape),), targets=(target,), names=("a.png",))  # type: ignore[arg-type]


class Answers(torch.nn.Module):
    """A network that finds one thing: a boat, where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.box, self.admitted = [90.0, 90.0, 99.0, 99.0], [0]

    def forward(self, images, sizes, targets, *, admission) -> Outputs:
        found = Detections(torch.tensor([self.box]), torch.ones(1), torch.tensor([2]), None)
        return Outputs([], [found], [torch.tensor(self.admitted, dtype=torch.int64)], [], [], [], {})


def health(
    *, network: torch.nn.Module | None = None, log: tuple = (), steps: int = 1000, window: Sequence[Step] = (), seen: bool = False
) -> Health:
    """Of a set of 5 images, 2 in each step. seen: no class is looked for any more."""
    config = Config()
    config = replace(config, train=replace(config.train, steps=steps, warmup_steps=10))
    log = (*log, {"step": 0, "new_classes": NAMES}) if seen else log
    return Health(config, CLASSES, network or Answers(), window, num_images=5, share=2, log=log)


def fields_of(hook: Health, index: int) -> dict[str, Any]:
    """What the hook writes of a step, its warnings included."""
    step = Step(index=index, losses={}, learning_rate=0.1)
    hook.after_step(step)
    return step.fields


def test_a_line_holds_the_losses_and_null_what_is_not_finite(tmp_path: Path) -> None:
    losses = {"loss": nan, "loss/mask": inf, "loss/box": 1.23456789}
    step = Step(index=7, losses=losses, learning_rate=0.01, broken=("mask",), fields={"pq": None})
    Log(tmp_path / "log.jsonl").after_step(step)
    text = (tmp_path / "log.jsonl").read_text()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) == {
        "step": 7,
        "loss": None,
        "loss/mask": None,
        "loss/box": 1.234568,
        "learning_rate": 0.01,
        "gradient_norm": None,
        "left_out": ["mask"],
        "pq": None,
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (torch.tensor(1.5), 1.5),
        (nan, None),
        (torch.tensor(inf), None),
        ([1, "a"], [1, "a"]),
        ({"a": [nan]}, {"a": [None]}),
    ],
)
def test_a_hooks_field_is_a_plain_value(value: object, written: object, tmp_path: Path) -> None:
    Log(tmp_path / "log.jsonl").after_step(Step(index=1, losses={"loss": 1.0}, learning_rate=0.1, fields={"own": value}))
    assert json.loads((tmp_path / "log.jsonl").read_text())["own"] == written


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("own", object(), "a hook's field 'own' is <object .*give numbers or texts"),
        ("own", torch.zeros(2), "a hook's field 'own' is tensor"),
        ("loss", 5.0, "a hook's field 'loss' is one that the log has itself; name it otherwise"),
        ("step", "a", "a hook's field 'step'"),
    ],
)
def test_a_field_that_no_log_can_hold_is_named(field: str, value: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        Log(tmp_path / "log.jsonl").after_step(Step(index=1, losses={"loss": 1.0}, learning_rate=0.1, fields={field: value}))


def test_only_the_main_process_writes(tmp_path: Path) -> None:
    Log(tmp_path / "log.jsonl", writes=False).note({"step": 1})
    assert not (tmp_path / "log.jsonl").exists()


def test_a_log_is_trimmed_to_the_checkpoint_and_a_torn_line_goes(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "skipped": []}\n{"step": 2}\n{"step": 3}\n{"step": 4, "lo')
    assert [line["step"] for line in read_log(path)] == [1, 2, 2, 3]
    trim_log(path, 2)
    assert path.read_text() == '{"step": 1}\n{"step": 2, "skipped": []}\n{"step": 2}\n'


def test_a_log_that_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("hello\n")
    with pytest.raises(InputError, match=r"cannot read the log .*log\.jsonl"):
        read_log(tmp_path / "log.jsonl")


def test_speed_and_the_time_that_remains() -> None:
    stopwatch, steps = Stopwatch(images=8, steps=7), []
    for index, data in ((1, 3.0), (2, 1.0)):
        steps.append(Step(index=index, losses={}, learning_rate=0.1, data_seconds=data, seconds=2.0))
        stopwatch.after_step(steps[-1])
    assert stopwatch.images_per_second == pytest.approx(16 / 8)
    assert (steps[0].fields["data_seconds"], steps[0].fields["step_seconds"]) == (3.0, 2.0)
    assert steps[1].fields["remaining_seconds"] == pytest.approx(5 * 4)


def test_every_step_has_its_times_and_memory(tiny_run: Path, tiny_config: Config) -> None:
    lines = read_log(tiny_run / "log.jsonl")
    for line in lines:
        assert {*VARYING} - {"warnings"} <= line.keys()
        assert line["step_seconds"] > 0 <= line["data_seconds"]
        assert 50 < line["memory_mib"] < 64_000
    assert all(later["seconds"] > earlier["seconds"] for earlier, later in pairwise(lines))
    assert lines[-1]["remaining_seconds"] == 0
    spent = sum(line["step_seconds"] + line["data_seconds"] for line in lines)
    assert lines[-1]["images_per_second"] == pytest.approx(tiny_config.train.batch_size * len(lines) / spent, rel=0.02)


@pytest.mark.parametrize(("data", "work", "warned"), [(1.5, 1.0, True), (0.5, 1.0, False)])
def test_a_loader_that_starves_the_training_is_told_once(data: float, work: float, warned: bool) -> None:
    step = Step(index=1, losses={}, learning_rate=0.1, data_seconds=data, seconds=work)
    window = [step] * (WINDOW - 1)
    hook = health(window=window, seen=True)
    assert fields_of(hook, 2) == {}
    window.append(step)
    messages = fields_of(hook, 3).get("warnings", [])
    assert bool(messages) == warned
    if warned:
        assert messages[0].startswith("The loader starves the training: 60% of the last 50 steps")
    assert fields_of(hook, 4) == {}


def test_a_class_that_never_appears_is_told_once_by_name() -> None:
    hook = health()  # 5 images: judged after two rounds of them, which are 5 steps of 2
    fields = []
    for index, data in enumerate([batch(0, 0, VOID), batch(0), batch(0, 2), batch(0), batch(0)], start=1):
        hook.before_step(index, data)
        fields.append(fields_of(hook, index))
    warning = "In the first 10 training images these classes never appeared: sea, gull."
    assert fields == [{"new_classes": ["sky"]}, {}, {"new_classes": ["boat"]}, {}, {"warnings": [warning]}]


def test_a_run_that_goes_on_knows_the_classes_from_its_log() -> None:
    hook = health(log=({"step": 1, "new_classes": ["sky", "gull"]}, {"step": 2}))
    for index, data in enumerate([batch(0, 2), batch(0), batch(0)], start=3):
        hook.before_step(index, data)
    warning = "In the first 10 training images these classes never appeared: sea."
    assert fields_of(hook, 5) == {"new_classes": ["boat"], "warnings": [warning]}


@pytest.mark.parametrize(("steps", "due"), [(1000, 510), (300, 300), (99, None)])
def test_detections_that_never_match_are_told_once(steps: int, due: int | None) -> None:
    network, data = Answers(), batch(2)
    hook = health(network=network, steps=steps, seen=True)
    network(data.images, data.sizes, data.targets, admission=None)
    messages = {step: fields_of(hook, step) for step in range(1, steps + 1)}
    assert [step for step, fields in messages.items() if fields] == ([due] if due else [])
    if due:
        assert messages[due]["warnings"][0].startswith(f"No detection has matched a true thing in {due} steps")


def test_the_first_match_ends_the_looking() -> None:
    network, data = Answers(), batch(2)
    hook = health(network=network, seen=True)
    network.box, network.admitted = [0.0, 0.0, 4.0, 4.0], []
    network(data.images, data.sizes, data.targets, admission=None)
    assert fields_of(hook, 1) == {}, "a detection that is not admitted makes no channel"
    network.admitted = [0]
    network(data.images, data.sizes, data.targets, admission=None)
    assert not network._forward_hooks
    assert fields_of(hook, 2) == {"first_match": True}
    assert fields_of(hook, 510) == {}
    assert fields_of(health(log=({"step": 1, "first_match": True},), seen=True), 510) == {}


def test_a_warning_reaches_stderr_and_the_log(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("unipan.recipes.training.health.UNSEEN_IMAGES", 1)
    monkeypatch.setattr("unipan.recipes.training.health._class_indices", lambda targets: {0, 1, 2})
    train(replace(tiny_config, train=replace(tiny_config.train, steps=2, batch_size=1)), tmp_path / "run")
    lines = read_log(tmp_path / "run" / "log.jsonl")
    sentence = "In the first 1 training images these classes never appeared: water, snake, tool, log."
    assert [any(message.startswith(sentence) for message in line.get("warnings", [])) for line in lines] == [True, False]
    assert sentence in " ".join(capfd.readouterr().err.split())
