"""Which device a network runs on."""

import torch

from unipan.config import Device
from unipan.errors import InputError


def find_device(name: Device) -> torch.device:
    """The device of that name; `auto` is the GPU where there is one. One that is not there is an InputError."""
    found = [device for device, there in _available().items() if there]
    if name == "auto":
        return torch.device(found[0])
    if name not in found:
        raise InputError(
            f"the device is to be {name}, but PyTorch finds none on this machine; choose auto or {', '.join(found)}."
        )
    return torch.device(name)


def _available() -> dict[str, bool]:
    """Best first. A machine with CUDA has no MPS that accelerate would choose."""
    cuda = torch.cuda.is_available()
    return {"cuda": cuda, "mps": torch.backends.mps.is_available() and not cuda, "cpu": True}
