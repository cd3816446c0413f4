"""How much each pixel, joining the wrong ones, raises the Jaccard loss 1 - IoU: the weights of both Lovasz losses.

R rows (masks or classes), n pixels. Two forms that agree: plain operators for any device and type, and sorted integers for
float32 on a CPU, about twice as fast on maps of half a million pixels (`benchmarks/bench_forms.py`).
"""

import numpy as np
import torch
from torch import Tensor

SIGN_LEFT_OUT = np.int32(0x7FFFFFFF)


@torch.no_grad()
def jaccard_weights(errors: Tensor, truth: Tensor) -> Tensor:
    """(R, n): the rise of the Jaccard loss as each pixel joins the wrong ones, rows in falling order of `errors`.

    errors: (R, n); among those of 0 or less, which cost nothing, any order will do. truth: (R, n) bool.
    Constant between two reorderings, hence no gradient. The rise is written out rather than taken as a difference of two losses
    near 1, which would leave hardly a digit in float32 when a mask has millions of pixels:
    a true pixel leaves the intersection I, 1/U; a false one enters the union U, I/(U-1) - I/U.
    """
    if errors.device.type == "cpu" and errors.dtype == torch.float32:
        return weights_by_bits(errors, truth)
    return weights_by_argsort(errors, truth)


def weights_by_argsort(errors: Tensor, truth: Tensor) -> Tensor:
    """The definition in plain operators."""
    order = errors.argsort(dim=1, descending=True)
    joins_true = truth.gather(1, order)
    true_so_far = joins_true.cumsum(1, dtype=torch.int32)
    false_so_far = (~joins_true).cumsum(1, dtype=torch.int32)
    num_true = truth.sum(1, keepdim=True, dtype=torch.int32)
    union = (num_true + false_so_far).to(errors.dtype)
    intersection = (num_true - true_so_far).to(errors.dtype)
    rise_if_false = torch.where(union > 1, intersection / (union * (union - 1)), 1.0)  # the first wrong pixel of an empty mask: 1
    return torch.empty_like(errors).scatter_(1, order, torch.where(joins_true, 1 / union, rise_if_false))


def weights_by_bits(errors: Tensor, truth: Tensor) -> Tensor:
    """The same for float32 on a CPU: the bits of numbers of one sign are in the numbers' order, and integers sort fast.

    A key holds, from high to low, the error's inverted bits, the pixel and whether it is true. Row by row, so that the cache
    holds what is sorted.
    """
    weights = torch.empty_like(errors)
    pixels = np.arange(errors.shape[1], dtype=np.int64) << 1
    bits = errors.relu().contiguous().numpy().view(np.int32)
    for own_bits, own_truth, own_weights in zip(bits, truth.numpy(), weights.numpy(), strict=True):
        keys = ((~own_bits & SIGN_LEFT_OUT).astype(np.int64) << 32) | pixels | own_truth
        keys.sort()
        joins_true = (keys & 1).astype(bool)
        own_weights[(keys & 0xFFFFFFFF) >> 1] = _rise(joins_true)
    return weights


def _rise(joins_true: np.ndarray) -> np.ndarray:
    """(n,) float32: what each pixel adds, in the order of joining."""
    true_so_far = np.cumsum(joins_true, dtype=np.int32)
    num_true = true_so_far[-1:].sum(dtype=np.int32)  # 0 of an empty row
    joined = np.arange(1, len(joins_true) + 1, dtype=np.int32)
    union = (num_true + (joined - true_so_far)).astype(np.float32)
    intersection = (num_true - true_so_far).astype(np.float32)
    rise_if_false = np.where(union > 1, intersection / (union * np.maximum(union - 1, 1)), np.float32(1))
    return np.where(joins_true, 1 / union, rise_if_false)
