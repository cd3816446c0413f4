"""Gradients of several processes, added once a step.

In place of DistributedDataParallel, whose hooks expect every parameter in every process's graph: images without things have no
use for some. The price is that adding them does not overlap with the backward pass.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import nn

from unipan.engine.processes import Processes

BUFFER_ELEMENTS = 2**24
"""Numbers that travel at once: 64 MiB in float32, large enough that the way's delay does not count."""


def add_gradients(parameters: Iterable[nn.Parameter], processes: Processes) -> None:
    """Replace each gradient by its sum over all processes.

    A process without one adds zeros. Where no process has one there stays none, so that neither momentum nor decay moves a weight
    that the step did not use.
    """
    if processes.count == 1:
        return
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    holders = processes.all_reduce(torch.tensor([float(parameter.grad is not None) for parameter in trained]))
    used = [parameter for parameter, number in zip(trained, holders.tolist(), strict=True) if number]
    for together in _buffers(used):
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in together]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        processes.all_reduce_(flat)
        for parameter, total in zip(together, flat.split([g.numel() for g in gradients]), strict=True):
            parameter.grad = total.view_as(parameter)


def _buffers(parameters: list[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Consecutive parameters that fill a buffer together; a larger one has its own."""
    together: list[nn.Parameter] = []
    elements = 0
    for parameter in parameters:
        if together and elements + parameter.numel() > BUFFER_ELEMENTS:
            yield together
            together, elements = [], 0
        together.append(parameter)
        elements += parameter.numel()
    if together:
        yield together
