"""How many bits are enough."""

import torch
from torch import Tensor


def full_precision(x: Tensor) -> Tensor:
    """float32 at least: half precision can't count pixels, and autocast may hand it to us. Doubles stay doubles."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
