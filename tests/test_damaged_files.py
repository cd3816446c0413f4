"""Files of weights that cannot be read: each is named, and nothing in them is ever executed."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from stored_network import Network

from unipan.checkpoint import load_model, save_model
from unipan.errors import InputError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, Network(seed=1))
    return path


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


def put_header(path: Path, length: int, header: bytes) -> None:
    path.write_bytes(length.to_bytes(8, "little") + header)


def huge_header(path: Path) -> None:
    put_header(path, 2**60, b"{}")


def header_longer_than_the_file(path: Path) -> None:
    put_header(path, 50_000_000, b"{}")


def deep_header(path: Path) -> None:
    put_header(path, 200_000, b'{"a":' * 40_000)


def tensor_beyond_the_end(path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    put_header(path, len(header), header + bytes(4))


def numbers_of_an_unknown_type(path: Path) -> None:
    header = b'{"a":{"dtype":"F9","shape":[4],"data_offsets":[0,16]}}'
    put_header(path, len(header), header + bytes(16))


def shape_beyond_counting(path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}'
    put_header(path, len(header), header)


DAMAGES = [
    truncate,
    empty,
    put_pickle,
    put_torch_pickle,
    huge_header,
    header_longer_than_the_file,
    deep_header,
    tensor_beyond_the_end,
    shape_beyond_counting,
    numbers_of_an_unknown_type,
]


@pytest.mark.parametrize("damage", DAMAGES)
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


@pytest.mark.parametrize(("name", "size"), [("F4", 2), ("F8_E8M0", 4)])
def test_numbers_that_cannot_be_read_are_named(model: Path, name: str, size: int) -> None:
    """Types that the format knows and its reader for PyTorch does not."""
    header = f'{{"a":{{"dtype":"{name}","shape":[4],"data_offsets":[0,{size}]}}}}'.encode()
    put_header(model, len(header), header + bytes(size))
    with pytest.raises(InputError, match=rf"model\.safetensors holds numbers of the type '{name}', which cannot be read"):
        load_model(model, Network())


def test_a_flipped_bit_is_noticed(model: Path) -> None:
    """Anywhere among the numbers: the format itself checks its header alone."""
    whole = model.read_bytes()
    for position in range(1, 30, 7):
        model.write_bytes(whole[:-position] + bytes([whole[-position] ^ 1]) + whole[len(whole) - position + 1 :])
        with pytest.raises(InputError, match=r"model\.safetensors is damaged: its numbers are not those that were written"):
            load_model(model, Network())
