"""A run on the disk: exact, whole or not at all, and never code."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from stored_network import Network
from torch import nn

from unipan.checkpoint import TrainingState, load_model, load_training, save_model, save_training
from unipan.errors import InputError
from unipan.tensor_file import TensorFile, write_tensor_file


def no_leftovers(folder: Path, *names: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, Network(seed=1))
    return path


def blocks_after(times: int, work: Callable[[], object]) -> int:
    """Blocks of memory that Python holds once `work` was done so often."""
    for _ in range(times):
        work()
    gc.collect()
    return sys.getallocatedblocks()


# --- exactly what was saved ---


def test_weights_round_trip_exactly(model: Path) -> None:
    network = Network(seed=2)
    load_model(model, network)
    expected = Network(seed=1).state_dict()
    assert set(expected) == {"layer.weight", "layer.bias", "scale", "seen"}
    assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())
    assert no_leftovers(model.parent, model.name)


def test_training_state_round_trips_exactly(tmp_path: Path) -> None:
    path = tmp_path / "step-00000123.safetensors"
    weights = {"a": torch.rand(3, 2), "momentum.b": torch.tensor(7), "c": torch.rand(4, 4).T}
    momentum = {"a": torch.rand(3, 2).half(), "weights.x": torch.zeros(0), "b": torch.rand(2).bfloat16()}
    state = TrainingState(123, weights, momentum)
    save_training(path, state)
    loaded = load_training(path)
    assert loaded.step == 123
    for saved, read in ((state.weights, loaded.weights), (state.momentum, loaded.momentum)):
        assert set(saved) == set(read)
        assert all(torch.equal(saved[name], read[name]) and saved[name].dtype == read[name].dtype for name in saved)


def test_reading_leaves_nothing_in_memory(tmp_path: Path) -> None:
    """A process may read runs for days: not even an integer for each tensor may stay."""
    tensors, times = 100, 10
    weights = {str(number): torch.ones(128) for number in range(tensors)}
    save_training(tmp_path / "step", TrainingState(1, weights, {}))
    before = blocks_after(2, lambda: load_training(tmp_path / "step"))
    left = blocks_after(times, lambda: load_training(tmp_path / "step")) - before
    assert left < tensors * times / 10, f"{left} blocks of memory stayed after {times} readings of {tensors} tensors"


def test_the_same_tensors_give_the_same_bytes(tmp_path: Path) -> None:
    """Which several facts in a header of safetensors would not, for it writes them in random order."""
    written = set()
    for number in range(8):
        one, other = torch.ones(2), torch.zeros(2)
        weights = {"a": one, "b": other} if number % 2 else {"b": other, "a": one}
        save_training(tmp_path / "step", TrainingState(3, weights, {"a": one.clone()}))
        written.add((tmp_path / "step").read_bytes())
    assert len(written) == 1


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_numbers_that_are_none_are_refused(tmp_path: Path, value: float) -> None:
    network = Network()
    with torch.no_grad():
        network.layer.weight[1, 1] = value
    save_model(tmp_path / "model.safetensors", network)
    with pytest.raises(InputError, match=r"NaN or infinite numbers, first in layer\.weight: .* diverged"):
        load_model(tmp_path / "model.safetensors", Network())
    save_training(tmp_path / "step", TrainingState(1, {}, {"x": torch.tensor([value])}))
    with pytest.raises(InputError, match=r"NaN or infinite numbers, first in momentum\.x"):
        load_training(tmp_path / "step")


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no file"):
        load_model(tmp_path, Network())


def test_a_link_is_read_through_and_never_written_through(model: Path) -> None:
    """The hub's cache is made of links; one that points out of a run must not let a write follow it."""
    link, before = model.with_name("link"), model.read_bytes()
    link.symlink_to(model)
    load_model(link, Network())
    elsewhere = model.with_name("elsewhere")
    elsewhere.write_text("mine")
    link.with_name(".link.tmp").symlink_to(elsewhere)
    save_model(link, Network(seed=3))
    assert model.read_bytes() == before
    assert elsewhere.read_text() == "mine"
    assert not link.is_symlink()
    assert no_leftovers(model.parent, "elsewhere", "link", model.name)


def test_whole_numbers_do_not_become_weights(tmp_path: Path) -> None:
    whole = {name: tensor.long() for name, tensor in Network().state_dict().items()}
    write_tensor_file(tmp_path / "model.safetensors", TensorFile("model", whole, {}))
    with pytest.raises(InputError, match="does not fit this network: 3 weights"):
        load_model(tmp_path / "model.safetensors", Network())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TensorFile("training", {"weights.a": torch.ones(1)}, {}), "does not say after which step"),
        (TensorFile("training", {}, {"step": "-1"}), "does not say after which step"),
        (TensorFile("training", {"other.a": torch.ones(1)}, {"step": "1"}), r"other\.a, which is part of no training state"),
    ],
)
def test_a_checkpoint_that_lacks_its_step_or_holds_more_is_refused(tmp_path: Path, content: TensorFile, message: str) -> None:
    write_tensor_file(tmp_path / "step", content)
    with pytest.raises(InputError, match=message):
        load_training(tmp_path / "step")


@pytest.mark.parametrize("load", [load_training, lambda path: load_model(path, Network())])
def test_a_missing_file_is_named(tmp_path: Path, load: Callable[[Path], object]) -> None:
    with pytest.raises(InputError, match=r"gone\.safetensors is missing"):
        load(tmp_path / "gone.safetensors")


def test_the_two_kinds_are_told_apart(model: Path, tmp_path: Path) -> None:
    training = tmp_path / "step-00000123.safetensors"
    save_training(training, TrainingState(1, dict(Network().state_dict()), {}))
    with pytest.raises(InputError, match="holds training, but model was expected"):
        load_model(training, Network())
    with pytest.raises(InputError, match="holds model, but training was expected"):
        load_training(model)


def test_a_safetensors_file_of_another_program_is_refused(tmp_path: Path) -> None:
    save_file(dict(Network().state_dict()), tmp_path / "other.safetensors")
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
