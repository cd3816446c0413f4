"""Weighted sums of rows, and their gradient by another such sum: what deformable convolution and RoIAlign come to on a CPU.

Each of N outputs is the sum of K weighted rows, out of R rows of C values.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def sum_rows(rows: Tensor, index: Tensor, share: Tensor) -> Tensor:
    """(N, C): output n is the sum over k of share[n, k] * rows[index[n, k]].

    rows: (R, C). index: (N, K) int64. share: (N, K). Values and the gradient of `share` are torch's embedding bag's; so is the
    gradient of `rows`, up to rounding, and mostly sooner (docs/performance.md).
    """
    summed = F.embedding_bag(index, rows.detach(), per_sample_weights=share, mode="sum")
    return _GradientOfRows.apply(summed, rows, index, share.detach())  # pyright: ignore[reportReturnType]


def spread_rows(rows: Tensor, index: Tensor, share: Tensor, count: int) -> Tensor:
    """(count, C): the transpose of `sum_rows`; output r is the sum of share[n, k] * rows[n] over all n, k with index[n, k] = r.

    rows: (N, C). index: (N, K) int64, below count. share: (N, K). Each sum is in the order of entries: the same bits in every run
    and any threads.
    """
    order = order_on_cpu(index) if index.device.type == "cpu" else order_elsewhere(index)
    found = torch.bincount(index.flatten(), minlength=count)
    starts = found.cumsum(0) - found
    shares = share.flatten()[order]
    return F.embedding_bag(order // index.shape[1], rows, starts, per_sample_weights=shares, mode="sum")


def order_on_cpu(index: Tensor) -> Tensor:
    """Positions among the entries of `index` in the order of their values, equal ones as they come.

    An entry's value and position in one integer sort faster than with a permutation beside them.
    """
    entries = index.numel()
    bits = entries.bit_length()
    keys = np.sort(((index.flatten() << bits) | torch.arange(entries)).numpy())
    return torch.from_numpy(keys).bitwise_and_((1 << bits) - 1)


def order_elsewhere(index: Tensor) -> Tensor:
    """As `order_on_cpu`, on any device."""
    return index.flatten().sort(stable=True).indices


class _GradientOfRows(torch.autograd.Function):
    """Hands `summed` through, and gives `rows` its gradient."""

    @staticmethod
    def forward(ctx, summed: Tensor, rows: Tensor, index: Tensor, share: Tensor) -> Tensor:
        ctx.save_for_backward(index, share)
        ctx.count = len(rows)
        return summed.view_as(summed)

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        (index, share), (gradient,) = ctx.saved_tensors, gradients
        to_rows = spread_rows(gradient.contiguous(), index, share, ctx.count) if ctx.needs_input_grad[1] else None
        return gradient, to_rows, None, None
