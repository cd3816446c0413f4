"""Sums of rows against the dense matrix that they are a product with, and against torch's embedding bag."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from unipan.ops.row_sums import order_elsewhere, order_on_cpu, spread_rows, sum_rows


def arguments(seed: int, outputs: int, each: int, rows: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    index = torch.randint(0, rows, (outputs, each), generator=random)
    share = torch.randn(outputs, each, generator=random, dtype=dtype)
    return torch.randn(rows, 5, generator=random, dtype=dtype).requires_grad_(), index, share.requires_grad_()


def matrix(index: Tensor, share: Tensor, rows: int) -> Tensor:
    """(N, R): what the sums multiply the rows by; shares that fall on one row add up."""
    return share.new_zeros(len(index), rows).scatter_add(1, index, share)


@given(seed=st.integers(0, 9999), outputs=st.integers(0, 9), each=st.integers(1, 6), rows=st.integers(1, 12))
def test_both_are_products_with_one_matrix(seed: int, outputs: int, each: int, rows: int) -> None:
    table, index, share = arguments(seed, outputs, each, rows)
    dense = matrix(index, share, rows)
    torch.testing.assert_close(sum_rows(table, index, share), dense @ table)
    back = torch.randn(outputs, 5, dtype=torch.float64)
    torch.testing.assert_close(spread_rows(back, index, share.detach(), rows), dense.detach().T @ back)


@given(seed=st.integers(0, 9999), outputs=st.integers(0, 9), each=st.integers(1, 6), rows=st.integers(1, 12))
def test_entries_are_ordered_alike_on_every_device(seed: int, outputs: int, each: int, rows: int) -> None:
    _, index, _ = arguments(seed, outputs, each, rows)
    assert torch.equal(order_elsewhere(index), order_on_cpu(index))
    assert torch.equal(index.flatten()[order_on_cpu(index)], index.flatten().sort().values)


def test_gradcheck() -> None:
    table, index, share = arguments(0, outputs=4, each=3, rows=5)
    assert torch.autograd.gradcheck(lambda rows, shares: sum_rows(rows, index, shares), (table, share))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_values_and_gradients_are_the_embedding_bags(dtype: torch.dtype, tolerance: float) -> None:
    table, index, share = arguments(3, outputs=400, each=36, rows=90, dtype=dtype)
    plain = F.embedding_bag(index, table, per_sample_weights=share, mode="sum")
    ours = sum_rows(table, index, share)
    pull = torch.linspace(-1, 2, plain.numel(), dtype=dtype).view_as(plain)
    assert torch.equal(ours, plain)
    for mine, theirs in zip(
        torch.autograd.grad(ours, (table, share), pull), torch.autograd.grad(plain, (table, share), pull), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance * float(theirs.abs().max()))


def test_threads_change_no_bit() -> None:
    back, index, share = (tensor.detach() for tensor in arguments(3, outputs=4000, each=36, rows=4000, dtype=torch.float32))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = spread_rows(back, index, share, 90 * 90)
        torch.set_num_threads(4)
        assert torch.equal(spread_rows(back, index, share, 90 * 90), alone)
    finally:
        torch.set_num_threads(before)


def test_rows_that_need_no_gradient_get_none() -> None:
    table, index, share = arguments(1, outputs=4, each=3, rows=5)
    sum_rows(table.detach(), index, share).sum().backward()
    assert table.grad is None
    assert share.grad is not None
