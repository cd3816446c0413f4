"""Which device a network runs on, and what memory was held."""

import os
import sys

import torch
from torch import Tensor

from unipan.errors import InputError


def find_device(device: str | int | torch.device) -> torch.device:
    """The device of that name ("auto", "cpu", "cuda:1") or GPU of that number.

    `auto` is what the environment's UNIPAN_DEVICE says, else the GPU where there is one.
    Raises: InputError for one that is not there.
    """
    if device == "auto":
        device = os.environ.get("UNIPAN_DEVICE") or "auto"
    found = [name for name, there in _available().items() if there]
    if device == "auto":
        return torch.device(found[0])
    try:
        wanted = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
    except (RuntimeError, TypeError):  # no name of a device
        wanted = None
    count = torch.cuda.device_count() if wanted and wanted.type == "cuda" else 1
    if wanted is None or wanted.type not in found or (wanted.index or 0) >= count:
        raise InputError(
            f"the device is to be {device}, but PyTorch finds none on this machine; choose auto or {', '.join(found)}."
        )
    return wanted


def where_float64_is(values: Tensor) -> Tensor:
    """The values where they can be made float64, which MPS has not: on the CPU then."""
    return values.cpu() if values.device.type == "mps" else values


def peak_memory_mib(gpu: torch.device | None = None) -> float:
    """The most memory held: what PyTorch took from the GPU (None: the current one), if anything, else the process's resident set.

    That includes a CUDA graph's buffers, of which no other of PyTorch's figures knows.
    """
    import resource  # which Windows lacks

    if torch.cuda.is_available() and torch.cuda.max_memory_reserved(gpu):
        return torch.cuda.max_memory_reserved(gpu) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _available() -> dict[str, bool]:
    """Best first. A machine with CUDA has no MPS that accelerate would choose."""
    cuda = torch.cuda.is_available()
    return {"cuda": cuda, "mps": torch.backends.mps.is_available() and not cuda, "cpu": True}
