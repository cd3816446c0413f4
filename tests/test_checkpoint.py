"""A run on the disk: exact, whole or not at all, and never code."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from unipan import checkpoint
from unipan.checkpoint import (
    TrainingState,
    load_model,
    load_training,
    save_model,
    save_training,
)
from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.presets import PRESETS

CONFIG = PRESETS["demo"]()
CLASSES = ClassTable.from_categories([{"id": 1, "name": "sky", "isthing": 0}, {"id": 2, "name": "cat", "isthing": 1}])


class Network(nn.Module):
    """Weights, a buffer that is not a number of the usual type, and one that is not saved."""

    def __init__(self, *, width: int = 3, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer = nn.Linear(2, width)
        self.scale = nn.Parameter(torch.rand(()))
        self.register_buffer("seen", torch.tensor(seed))
        self.register_buffer("derived", torch.ones(1), persistent=False)


def no_leftovers(folder: Path, *names: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, Network(seed=1))
    return path


# --- exactly what was saved ---


def test_weights_round_trip_exactly(model: Path) -> None:
    network = Network(seed=2)
    load_model(model, network)
    expected = Network(seed=1).state_dict()
    assert set(expected) == {"layer.weight", "layer.bias", "scale", "seen"}
    assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())
    assert no_leftovers(model.parent, model.name)


def test_training_state_round_trips_exactly(tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    weights = {"a": torch.rand(3, 2), "momentum.b": torch.tensor(7), "c": torch.rand(4, 4).T}
    state = TrainingState(123, weights, {"a": torch.rand(3, 2).half(), "weights.x": torch.zeros(0)})
    save_training(path, state)
    loaded = load_training(path)
    assert loaded.step == 123
    for saved, read in ((state.weights, loaded.weights), (state.momentum, loaded.momentum)):
        assert set(saved) == set(read)
        assert all(torch.equal(saved[name], read[name]) and saved[name].dtype == read[name].dtype for name in saved)


# --- what cannot be read ---


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5)


def empty(path: Path) -> None:
    path.write_bytes(b"")


class Bomb:
    """Unpickling it would be seen."""

    def __reduce__(self):
        return os.putenv, ("UNIPAN_EXPLODED", "1")


def put_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb()))


def put_torch_pickle(path: Path) -> None:
    torch.save(Network().state_dict(), path)


@pytest.mark.parametrize("damage", [truncate, empty, put_pickle, put_torch_pickle])
def test_a_damaged_file_is_named(model: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_, **__):
        raise AssertionError("nothing may be unpickled")

    damage(model)
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    network = Network()
    with pytest.raises(InputError, match=r"model\.safetensors is damaged or no safetensors file"):
        load_model(model, network)
    assert torch.equal(network.layer.weight, Network().layer.weight)


@pytest.mark.parametrize("load", [load_training, lambda path: load_model(path, Network())])
def test_a_missing_file_is_named(tmp_path: Path, load: Callable[[Path], object]) -> None:
    with pytest.raises(InputError, match=r"gone\.safetensors is missing"):
        load(tmp_path / "gone.safetensors")


def test_the_two_kinds_are_told_apart(model: Path, tmp_path: Path) -> None:
    training = tmp_path / "training.safetensors"
    save_training(training, TrainingState(1, dict(Network().state_dict()), {}))
    with pytest.raises(InputError, match="holds training, but model was expected"):
        load_model(training, Network())
    with pytest.raises(InputError, match="holds model, but training was expected"):
        load_training(model)


def test_a_safetensors_file_of_another_program_is_refused(tmp_path: Path) -> None:
    checkpoint.save_file(dict(Network().state_dict()), tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="holds something else, but model was expected"):
        load_model(tmp_path / "other.safetensors", Network())


class Larger(Network):
    def __init__(self) -> None:
        super().__init__()
        self.more = nn.Linear(1, 1)


class Smaller(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network(width=4), "2 weights are .* first layer.weight, layer.bias"),
        (Larger(), "2 weights are .* first more.weight, more.bias"),
        (Smaller(), "2 weights are .* first scale, seen"),
    ],
)
def test_a_network_that_does_not_fit_is_left_alone(model: Path, network: nn.Module, message: str) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(InputError, match=f"does not fit this network: {message}"):
        load_model(model, network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
