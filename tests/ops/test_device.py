"""Devices by name, by number and as torch has them; one that is not there is refused in a sentence."""

from typing import Any
from unittest.mock import Mock

import pytest
import torch

from unipan.errors import InputError
from unipan.ops.device import find_device, where_float64_is


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_a_device_that_is_there(device: Any) -> None:
    assert find_device(device) == torch.device("cpu")


@pytest.mark.parametrize("device", ["cuda:99", 99, torch.device("cuda", 99), "nonsense", "", None, -1])
def test_a_device_that_is_not_there(device: Any) -> None:
    with pytest.raises(InputError, match=r"the device is to be .*choose auto or .*cpu"):
        find_device(device)


def test_the_environment_says_what_auto_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIPAN_DEVICE", "cuda:99")
    with pytest.raises(InputError, match="the device is to be cuda:99"):
        find_device("auto")
    assert find_device("cpu") == torch.device("cpu")
    monkeypatch.setenv("UNIPAN_DEVICE", "")
    assert find_device("auto").type in ("cpu", "cuda", "mps")


def test_a_gpu_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device in ("cuda:1", 1, torch.device("cuda", 1)):
        assert find_device(device) == torch.device("cuda", 1)
    with pytest.raises(InputError, match="cuda:2"):
        find_device("cuda:2")


def test_what_is_to_be_float64_leaves_mps() -> None:
    """Stood in for, since no machine of ours has it."""
    here, there = torch.ones(2), Mock(spec=torch.Tensor)
    there.device = torch.device("mps")
    assert where_float64_is(here) is here
    assert where_float64_is(there) is there.cpu.return_value
