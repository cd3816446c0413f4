"""How many bits are enough."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def full_precision(x: Tensor) -> Tensor:
    """float32 at least: half precision can't count pixels, and autocast may hand it to us. Doubles stay doubles."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def in_float32(read: Callable[..., Any], features: Tensor) -> Any:
    """What a layer reads off features that autocast may have halved: in float32 at least, as scores and boxes need it."""
    with torch.autocast(features.device.type, enabled=False):
        return read(full_precision(features))


def product(left: Tensor, right: Tensor) -> Tensor:
    """The product of matrices, or of stacks of them, in their own precision, under autocast too.

    Stacks are made contiguous: others torch multiplies matrix by matrix, with a copy of each, in two to four times the time.
    """
    with torch.autocast(left.device.type, enabled=False):
        return left.contiguous() @ right.contiguous()
