"""A training whose loss breaks: what it leaves, that it goes on where it may, and that the batch can be looked at again."""

from dataclasses import replace
from math import isfinite
from pathlib import Path

import pytest

from unipan.checkpoint import load_training
from unipan.config import Config
from unipan.errors import InputError
from unipan.losses.criterion import Criterion
from unipan.recipes.train import train
from unipan.recipes.training.log import read_log
from unipan.recipes.training.replay import replay
from unipan.terms import Term


@pytest.fixture
def broken_at_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third time that losses are computed, the panoptic one is NaN."""
    terms, calls = Criterion.terms, []

    def planted(self: Criterion, outputs, targets) -> dict[str, Term]:
        calls.append(1)
        found = terms(self, outputs, targets)
        if len(calls) == 3:
            found["panoptic"] = Term(found["panoptic"].sum * float("nan"), found["panoptic"].count)
        return found

    monkeypatch.setattr(Criterion, "terms", planted)


def test_it_stops_and_its_batch_can_be_replayed(broken_at_three: None, tiny_config: Config, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(InputError, match=r"^step 3: loss panoptic is not finite, on the images .*\.png") as caught:
        train(tiny_config, out)
    assert load_training(out / "checkpoints" / "step-00000002.safetensors").step == 2
    replayed = replay(out, out / "faulty-batch-3.safetensors", device="cpu")
    assert len(replayed) == tiny_config.train.batch_size
    assert all(name in str(caught.value) for name in replayed)
    assert all(isfinite(value) and "loss/panoptic" in losses for losses in replayed.values() for value in losses.values())


def test_it_leaves_the_step_out(
    broken_at_three: None, tiny_config: Config, tiny_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    train(replace(tiny_config, train=replace(tiny_config.train, on_nonfinite="skip")), out)
    lines, whole = read_log(out / "log.jsonl"), read_log(tiny_run / "log.jsonl")
    assert [line.get("left_out") for line in lines] == [None, None, ["panoptic"], None, None, None]
    assert [line["loss"] for line in lines[:2]] == [line["loss"] for line in whole[:2]]
    assert lines[2]["loss"] is None
    assert lines[2]["gradient_norm"] is None
    assert lines[3]["loss"] != whole[3]["loss"], "the weights are those of two steps, not of three"
    message = " ".join(capfd.readouterr().err.split())
    assert "Step 3 was left out: panoptic not finite." in message
    assert "left out 1 step, first 3" in message
