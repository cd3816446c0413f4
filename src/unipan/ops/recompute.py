"""Memory for time in the backward pass: a large tensor that a cheap product makes again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def made_again(value: Tensor, make: Callable[[], Tensor]) -> Iterator[None]:
    """Operators in here that would keep `value` for their backward pass keep `make` instead, and call it there.

    make: returns `value` once more, to the bit, under the autocast of here. What it needs it holds: small things, or such as are
    kept anyway. Not for use within `torch.utils.checkpoint`: only the innermost hooks see a tensor, so what is kept here stays.
    """
    pointer, shape = value.data_ptr(), value.shape
    device = value.device.type
    lowered = {"enabled": torch.is_autocast_enabled(device), "dtype": torch.get_autocast_dtype(device)}
    del value  # what is to be freed may not be held here

    def pack(kept: Tensor) -> Tensor | Callable[[], Tensor]:
        return make if kept.data_ptr() == pointer and kept.shape == shape else kept

    def unpack(kept: Tensor | Callable[[], Tensor]) -> Tensor:
        if isinstance(kept, Tensor):
            return kept
        with torch.no_grad(), torch.autocast(device, **lowered):
            return kept()

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield
