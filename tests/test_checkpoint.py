"""A run on the disk: exact, whole or not at all, and never code."""

import errno
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from unipan import checkpoint
from unipan.checkpoint import (
    RunFolder,
    TrainingState,
    load_model,
    load_training,
    open_run,
    read_classes,
    replace_atomically,
    save_model,
    save_training,
    write_json,
    write_settings,
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


def test_settings_and_class_table_round_trip(tmp_path: Path) -> None:
    write_settings(RunFolder(tmp_path / "new/run"), CONFIG, CLASSES)
    folder, config, classes = open_run(tmp_path / "new/run")
    assert (folder.path, config, classes) == (tmp_path / "new/run", CONFIG, CLASSES)


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


# --- what cannot be written ---


def failing_save(error: Exception) -> Callable[..., None]:
    def save_file(tensors, filename, metadata) -> None:
        Path(filename).write_bytes(b"half of it")
        raise error

    return save_file


def failing_fsync(_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("place", "failing"),
    [
        ("unipan.checkpoint.save_file", failing_save(OSError(errno.ENOSPC, "No space left on device"))),
        ("unipan.checkpoint.save_file", failing_save(SafetensorError("I/O error: No space left on device"))),
        ("os.fsync", failing_fsync),
    ],
)
def test_a_full_disk_leaves_the_former_file(
    model: Path, place: str, failing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = model.read_bytes()
    monkeypatch.setattr(place, failing)
    with pytest.raises(InputError, match=r"cannot write .*model\.safetensors: .*No space left on device.*untouched"):
        save_model(model, Network(seed=5))
    assert model.read_bytes() == before
    assert no_leftovers(model.parent, model.name)


def test_a_limit_of_the_system_leaves_the_former_file(model: Path) -> None:
    before = model.read_bytes()
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, former[1]))
    try:
        with pytest.raises(InputError, match=r"cannot write .*model\.safetensors: .*File too large"):
            save_model(model, Network(width=100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert model.read_bytes() == before
    assert no_leftovers(model.parent, model.name)


def test_a_killed_process_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"pq": 1})
    code = (
        "import os, sys; from pathlib import Path; from unipan.checkpoint import replace_atomically\n"
        "replace_atomically(Path(sys.argv[1]), lambda part: (part.write_text('{'), os.kill(os.getpid(), 9)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == '{\n  "pq": 1\n}\n'


def test_a_fault_of_ours_is_no_input_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "metrics.json", {"pq": object()})
    assert no_leftovers(tmp_path)


def test_a_new_file_replaces_the_former(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for text in ("one", "two"):
        replace_atomically(path, lambda part, text=text: part.write_text(text))
        assert path.read_text() == text
    assert no_leftovers(tmp_path, "file")


def test_a_run_cannot_start_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"cannot make the folder .*taken"):
        write_settings(RunFolder(tmp_path / "taken"), CONFIG, CLASSES)


def test_a_full_disk_while_settings_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    write_settings(folder, CONFIG, CLASSES)
    monkeypatch.setattr(os, "fsync", failing_fsync)
    with pytest.raises(InputError, match=r"cannot write .*config\.json: No space left on device"):
        write_settings(folder, CONFIG, CLASSES)
    assert open_run(tmp_path)[1] == CONFIG
    assert no_leftovers(tmp_path, "config.json", "classes.json")


# --- runs ---


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no run: it has no config\.json and no classes\.json"):
        open_run(tmp_path)
    write_settings(RunFolder(tmp_path), CONFIG, CLASSES)
    (tmp_path / "classes.json").unlink()
    with pytest.raises(InputError, match=r"is no run: it has no classes\.json"):
        open_run(tmp_path)


@pytest.mark.parametrize("text", ["", "[{}]", '[{"id": null, "name": "a", "isthing": 1}]', '["cat"]', "3", "[]"])
def test_a_damaged_class_table_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(InputError, match=r"cannot read the class table in .*classes\.json"):
        read_classes(tmp_path / "classes.json")


def test_a_run_of_the_hub_is_fetched_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(RunFolder(tmp_path), CONFIG, CLASSES)
    asked = []

    def snapshot_download(repo_id: str, *, allow_patterns: list[str]) -> str:
        asked.append((repo_id, sorted(allow_patterns)))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    folder, config, classes = open_run("hf:someone/scenes")
    assert (folder.path, config, classes) == (tmp_path, CONFIG, CLASSES)
    assert asked == [("someone/scenes", ["classes.json", "config.json", "model.safetensors"])]
    open_run(str(tmp_path))
    assert len(asked) == 1, "a folder must not be looked for on the hub"


def test_a_hub_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(*_, **__) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(InputError, match=r"cannot fetch hf:someone/scenes from the Hugging Face Hub: no route to host"):
        open_run("hf:someone/scenes")
