"""How many bits are enough."""

import torch
from torch import Tensor


def full_precision(x: Tensor) -> Tensor:
    """float32 at least: half precision can't count pixels, and autocast may hand it to us. Doubles stay doubles."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def product(left: Tensor, right: Tensor) -> Tensor:
    """The product of matrices, or of stacks of them, in their own precision, under autocast too.

    Stacks are made contiguous: others torch multiplies matrix by matrix, with a copy of each, in two to four times the time.
    """
    with torch.autocast(left.device.type, enabled=False):
        return left.contiguous() @ right.contiguous()
