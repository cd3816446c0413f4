"""Trackers beside the log: TensorBoard's own files are read back; the other two are stand-ins that note what they are told."""

import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image
from planted_hooks import At, plant

from unipan.config import Config
from unipan.engine.interrupt import Stopped
from unipan.engine.runtime import Runtime
from unipan.engine.trackers import open_trackers
from unipan.errors import InputError
from unipan.recipes.train import train
from unipan.recipes.training.log import read_log


def scalars(run: Path) -> tuple[dict[str, dict[int, float]], dict[str, list[int]]]:
    """TensorBoard's numbers, name -> step -> value, and the steps of its drawings."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    numbers = {tag: {entry.step: entry.value for entry in events.Scalars(tag)} for tag in tags["scalars"]}
    return numbers, {tag: [entry.step for entry in events.Images(tag)] for tag in tags["images"]}


def test_tensorboard_holds_what_the_log_holds(tiny_config: Config, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    config = replace(tiny_config, train=replace(tiny_config.train, steps=3, trackers=("tensorboard",), panels_every=2))
    with pytest.MonkeyPatch.context() as patch:
        plant(patch, At(2, signal.SIGTERM), first=True)
        with pytest.raises(Stopped):
            train(config, tmp_path / "run")
    assert list(scalars(tmp_path / "run")[0]["loss"]) == [1, 2], "what was logged before a stop is written"
    train(config, tmp_path / "run", resume=True)
    numbers, drawings = scalars(tmp_path / "run")
    lines = read_log(tmp_path / "run" / "log.jsonl")
    for name in ("loss", "loss/semantic", "learning_rate", "gradient_norm", "step_seconds", "memory_mib"):
        assert numbers[name] == pytest.approx({line["step"]: line[name] for line in lines}, rel=1e-6)
    assert drawings == {"held-out": [2, 3]}


def test_a_tracker_without_its_package_is_refused_before_anything_is_written(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unipan.engine.trackers.find_spec", lambda name: None)
    schedule = replace(tiny_config.train, trackers=("trackio",))
    with pytest.raises(InputError, match=r"pip install 'unipan\[trackio\]'"):
        train(replace(tiny_config, train=schedule), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_service_gets_project_run_settings_numbers_and_drawings(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list = []
    run = SimpleNamespace(log=lambda values, step=None: calls.append((step, values)), finish=lambda: calls.append("finished"))
    module = ModuleType(name)
    module.Image = lambda drawing, **options: "a drawing"  # type: ignore[attr-defined]
    module.init = lambda **options: calls.append(options) or run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, module)
    Runtime(device="cpu")  # which accelerate's trackers rely on, as in a training
    [tracker] = open_trackers([name], tmp_path / "first", {"train.seed": 3}, done=0)  # type: ignore[list-item]
    tracker.log({"loss": 0.5}, 7)
    tracker.show(Image.new("RGB", (4, 4)), 8)
    tracker.close()
    assert (calls[0]["project"], calls[0]["name"], calls[0]["config"]) == ("unipan", "first", {"train.seed": 3})
    assert calls[1] == (7, {"loss": 0.5})
    assert calls[2] in ((8, {"held-out": "a drawing"}), (8, {"held-out": ["a drawing"]}))
    assert calls[3:] == ["finished"]
