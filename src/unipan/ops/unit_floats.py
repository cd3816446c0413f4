"""Images on their way to a network: bytes until they are on its device."""

import torch
from torch import Tensor


def unit_floats(images: Tensor) -> Tensor:
    """uint8 0..255 as float32 0..1, the same bits on every device; floats, which are 0..1 already, as they are."""
    if images.is_floating_point():
        return images
    white = torch.full((), 255.0, device=images.device)  # a tensor: by a number CUDA does not divide, but multiplies by 1 / 255
    return images.float().div_(white)
