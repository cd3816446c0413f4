"""CUDA graphs of what a network computes in every cell, for its training on a GPU (`PanopticNetwork.maps`).

With a few images a GPU waits for the processor, which launches a step's 3,000 operations one by one. A graph holds those of the
maps, forward and backward, in buffers of its own, and is launched as one.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from unipan.console import logger
from unipan.errors import InputError
from unipan.models.network import Maps, PanopticNetwork

MOST = 4
"""Shapes of images that are recorded: each graph keeps the memory of a whole pass for itself."""

Recorder = Callable[[nn.Module, Tensor], Callable[[Tensor], Maps]]
"""From a module and images to a call that computes the module for all images of that shape."""


@contextmanager
def cuda_graphs(network: PanopticNetwork, record: Recorder | None = None) -> Iterator[None]:
    """Within it a network that is trained takes its maps from graphs; the values are the same, rounding apart.

    Two differences remain. A weight that no loss reaches has a gradient of 0, not none, so that decay moves it. Under
    autocast deformable convolutions multiply in few bits there, where without graphs torchvision's operator has float32.

    Each pass overwrites what the last of its shape gave: its backward pass must be over, and what is to be kept be copied. Passes
    without gradients have no graphs. record: how a graph is made; by CUDA if left out.
    """
    network.maps = maps = GraphedMaps(network, record or recorded)  # in place of the method
    try:
        yield
    finally:
        del network.maps
        maps.graphs.clear()
        gc.collect()  # a recorded module holds itself, and the graph's memory with it


class GraphedMaps:
    """Called as `PanopticNetwork.maps`. The graph of a shape is made when it first comes; after MOST shapes none is."""

    def __init__(self, network: PanopticNetwork, record: Recorder) -> None:
        self.network, self.record = network, record
        self.graphs: dict[torch.Size, Callable[[Tensor], Maps]] = {}
        self.full = False
        """Whether a shape has come that found no room."""

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy of the network has its own weights, which no graph of this one reads: it has the method."""
        return getattr, (self.network, "maps")

    def __call__(self, images: Tensor) -> Maps:
        if not torch.is_grad_enabled() or (images.shape not in self.graphs and self._is_full(images.shape)):
            return PanopticNetwork.maps(self.network, images)
        if images.shape not in self.graphs:
            self.graphs[images.shape] = self.record(_MapsModule(self.network, images.device.type), images)
        return self.graphs[images.shape](images)

    def _is_full(self, shape: torch.Size) -> bool:
        if len(self.graphs) < MOST:
            return False
        if not self.full:
            logger.info(
                f"train.cuda_graphs: {MOST} shapes of batches have graphs; further ones, such as {tuple(shape)}, are computed "
                "without. A fixed data.crop gives all one shape."
            )
        self.full = True
        return True


class _MapsModule(nn.Module):
    """The maps as a module that has the network's weights, which is what can be recorded."""

    def __init__(self, network: PanopticNetwork, kind: str) -> None:
        """kind: of device. Autocast is as it is now, but without its cache: each replay casts the weights as they are then."""
        super().__init__()
        self.network = network
        autocast = {"dtype": torch.get_autocast_dtype(kind), "enabled": torch.is_autocast_enabled(kind)}
        self.autocast = partial(torch.autocast, kind, **autocast, cache_enabled=False)

    def forward(self, images: Tensor) -> Maps:
        with self.autocast():
            return PanopticNetwork.maps(self.network, images)


def recorded(module: nn.Module, images: Tensor) -> Callable[[Tensor], Maps]:
    """By PyTorch's own recorder. The module enters autocast by itself; here its backward pass is recorded too, outside of it."""
    try:
        with torch.autocast(images.device.type, enabled=False):
            graph: Any = torch.cuda.make_graphed_callables(module, (images.clone(),), allow_unused_input=True)
    except RuntimeError as error:
        first = error
        while isinstance(first.__context__, RuntimeError):  # to end the recording fails again
            first = first.__context__
        if "captur" not in f"{first} {error}":
            raise
        reason = str(first).splitlines()[0].rstrip(".")
        raise InputError(f"CUDA cannot record this network as a graph: {reason}. Leave --train.cuda-graphs out.") from error
    return graph
