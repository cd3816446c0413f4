"""Floating-point operations, and bytes read and written, of a call by the parts of our network, backward passes included.

A backward operation belongs to the part whose forward pass it is of: after each part, what is new in autograd's graph is noted
as its. Bytes are those of every operator's tensors, as if each came from memory and went there: an upper bound of the traffic.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

LOSSES = "losses and the rest"
METHODS = {"detector": ("forward", "predict", "add_masks")}
"""Of a part of which the network calls more than `forward`."""


class Counts(TorchDispatchMode):
    """Within, every operator is counted for the part that is under way, or whose backward pass is."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: dict[str, float] = defaultdict(float)
        self.bytes: dict[str, float] = defaultdict(float)
        self.part = LOSSES
        self.part_of: dict[Any, str] = {}
        """Of autograd's nodes; held, or another could get the same address."""
        self.last = LOSSES
        """The part of the last node that has one: what a backward pass computes anew has nodes of its own, which have none."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        node = torch._C._current_autograd_node()
        self.last = self.part_of.get(node, self.last)
        part = self.part if node is None else self.last
        if func._overloadpacket in flop_registry:
            self.operations[part] += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=found)
        if not func.is_view:
            self.bytes[part] += sum(one.numel() * one.element_size() for one in _tensors((args, kwargs, found)))
        return found

    def note(self, part: str, outputs: object) -> None:
        """The nodes behind a part's outputs that no part before it has are its own."""
        nodes = [one.grad_fn for one in _tensors(outputs) if one.grad_fn is not None]
        while nodes:
            node = nodes.pop()
            if node not in self.part_of:
                self.part_of[node] = part
                nodes += [before for before, _ in node.next_functions if before is not None]


@contextmanager
def by_parts(network: nn.Module) -> Iterator[Counts]:
    """Within, what the network does is counted by its parts."""
    counts = Counts()
    own: list[tuple[nn.Module, str]] = []
    for part, module in network.named_children():
        for method in METHODS.get(part, ("forward",)):
            plain = getattr(module, method)
            setattr(module, method, partial(_counted, counts, part, plain))
            own.append((module, method))
    backward = Tensor.backward

    def noted(loss: Tensor, *args: Any, **options: Any) -> None:
        counts.note(LOSSES, loss)
        backward(loss, *args, **options)

    try:
        with counts, patch.object(Tensor, "backward", noted):
            yield counts
    finally:
        for module, method in own:
            delattr(module, method)


def _counted(counts: Counts, part: str, plain: Callable[..., Any], *args: Any, **options: Any) -> Any:
    before, counts.part = counts.part, part
    counts.note(before, (args, options))  # what lies between two parts
    try:
        outputs = plain(*args, **options)
    finally:
        counts.part = before
    counts.note(part, outputs)
    return outputs


def _tensors(value: object) -> Iterator[Tensor]:
    for leaf in tree_leaves(value):
        if isinstance(leaf, Tensor):
            yield leaf
        elif is_dataclass(leaf):
            yield from _tensors([getattr(leaf, entry.name) for entry in fields(leaf)])


def totals(found: Mapping[str, float], unit: float) -> dict[str, float]:
    """In all, and the parts, where there are several, the dearest first."""
    parts = sorted(found.items(), key=lambda one: -one[1]) if len(found) > 1 else []
    return {"total": sum(found.values()) / unit} | {part: amount / unit for part, amount in parts}
