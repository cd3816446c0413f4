"""Images that come as numbers, in arrays and tensors. H x W pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unipan.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

TAKEN = (
    "a file's path, its bytes, an open binary file, a PIL image, a numpy array (H, W), (H, W, 3) or (H, W, 4), or a torch tensor "
    "(1, H, W), (3, H, W) or (4, H, W); arrays and tensors are RGB of uint8, or of floats in 0..1"
)


def on_cpu(tensor: Tensor) -> Tensor:
    """The tensor on the CPU, without a gradient, in memory that may still be the caller's.

    Raises: InputError for one that has no number for each pixel: meta, sparse, nested, quantised.
    """
    import torch

    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized or tensor.is_nested or tensor.is_complex():
        form = f"{tensor.layout}, {tensor.dtype}, on {tensor.device}".replace("torch.", "")
        raise InputError(f"an image came as a tensor without a plain number for each pixel ({form}); give {TAKEN}.")
    return tensor.detach().cpu().resolve_neg()


def numbers_of(tensor: Tensor) -> NDArray[Any]:
    """What `on_cpu` gives as an array, colors last."""
    values = tensor.float() if tensor.is_floating_point() else tensor
    return (values.movedim(0, -1) if values.ndim == 3 else values).numpy()


def image_of_array(array: NDArray[Any]) -> Image.Image:
    """A PIL image of (H, W) or (H, W, 1, 3 or 4) numbers, in memory that may still be the caller's."""
    values = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    fits = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))
    if not fits or not values.size or not (values.dtype == np.uint8 or np.issubdtype(values.dtype, np.floating)):
        raise InputError(f"an image came as numbers of shape {array.shape} and type {array.dtype}; give {TAKEN}.")
    if values.dtype != np.uint8:
        low, high = float(values.min()), float(values.max())
        if not 0 <= low <= high <= 1:
            raise InputError(f"an image came as floats of {low:g} to {high:g}; give floats in 0..1, or uint8.")
        values = np.round(values * 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(values))
