"""A run that was trained for a few steps, small enough for a test, and evaluated through every door."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from unipan.checkpoint import open_run
from unipan.config import Config
from unipan.console import shown_on_terminal
from unipan.data.build import validation_dataset
from unipan.data.dataset import PanopticDataset
from unipan.predictor import Predictor, load
from unipan.presets import scenes as scenes_preset
from unipan.recipes.train import train


@pytest.fixture(autouse=True)
def messages() -> Iterator[None]:
    """Messages go where the command line shows them."""
    with shown_on_terminal():
        yield


@pytest.fixture(scope="session")
def tiny_config() -> Config:
    """The demo's settings, shrunk; so many detections are admitted that answers hold things however little was learnt."""
    small = scenes_preset()
    detector = replace(
        small.model.detector,
        proposals_before_nms=50,
        proposals=20,
        rpn_samples=32,
        roi_samples=16,
        box_channels=16,
        score_threshold=0.0,
        max_detections=8,
    )
    model = replace(
        small.model,
        pretrained=False,
        fpn_channels=16,
        decoder_channels=(16, 16),
        affinity_dim=8,
        void_channel=False,  # where nothing was learnt yet, it would win everywhere
        detector=detector,
    )
    schedule = replace(
        small.train, steps=6, batch_size=2, learning_rate=0.02, warmup_steps=1, decay_steps=(5,), workers=0, save_every=2
    )
    return replace(
        small,
        model=model,
        data=replace(small.data, scene_size=(64, 64), val_scenes=4),
        train=schedule,
        inference=replace(small.inference, score_threshold=0.0, max_admitted=4, min_stuff_area_px=100),
    )


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, tiny_config: Config) -> Path:
    """Read it; who changes it, copies it."""
    out = tmp_path_factory.mktemp("tiny") / "run"
    train(tiny_config, out)
    return out


@pytest.fixture(scope="session")
def learnt_run(tmp_path_factory: pytest.TempPathFactory, tiny_config: Config) -> Path:
    """A longer one: some of its answers are right. Stuff under 400 px is trimmed."""
    schedule = replace(tiny_config.train, steps=40, learning_rate=0.05, warmup_steps=3, decay_steps=(), save_every=100)
    out = tmp_path_factory.mktemp("learnt") / "run"
    train(replace(tiny_config, train=schedule, inference=replace(tiny_config.inference, min_stuff_area_px=400)), out)
    return out


@pytest.fixture(scope="module")
def scenes(learnt_run: Path) -> PanopticDataset:
    """Its held-out images."""
    return validation_dataset(open_run(learnt_run)[1].data)


@pytest.fixture(scope="module")
def predictor(learnt_run: Path) -> Predictor:
    """Its predictor, which the tests of a file share."""
    return load(learnt_run, device="cpu")
