"""accelerate, behind this one file: the device, and what a training step needs of it."""

from collections.abc import Iterable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from unipan.errors import InputError


class Runtime:
    """The device that accelerate finds (a GPU where there is one), for one process."""

    def __init__(self) -> None:
        self.accelerator = Accelerator()
        if self.accelerator.num_processes > 1:
            raise InputError(
                f"training was launched with {self.accelerator.num_processes} processes, but it runs in one so far; "
                "start it without a launcher."
            )

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    def prepare(self, network: nn.Module) -> nn.Module:
        """Move the network to the device (and wrap it, where accelerate must)."""
        return self.accelerator.prepare_model(network)

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def clip(self, parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
        """Scale the gradients down to `max_norm`; returns the norm before."""
        norm = self.accelerator.clip_grad_norm_(list(parameters), max_norm)
        assert isinstance(norm, Tensor), "a model sharded by accelerate would give none"
        return norm
