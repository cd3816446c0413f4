"""A large tensor made again in the backward pass, in the place of one that is kept."""

import torch
from torch import Tensor

from unipan.ops.recompute import made_again


class Product:
    """A product that counts how often it is multiplied, and under which autocast."""

    def __init__(self) -> None:
        self.left, self.right = torch.randn(4, 3), torch.randn(3, 5)
        self.dtypes: list[torch.dtype] = []

    def __call__(self) -> Tensor:
        value = self.left @ self.right
        self.dtypes.append(value.dtype)
        return value.float()


def test_what_is_made_again_need_not_stay_as_it_was() -> None:
    product, factor = Product(), torch.randn(4, 5, requires_grad=True)
    value = product()
    expected = value.clone()
    with made_again(value, product):
        out = factor * value
    value.zero_()
    assert len(product.dtypes) == 1
    out.sum().backward()
    assert len(product.dtypes) == 2
    assert factor.grad is not None
    assert torch.equal(factor.grad, expected)


def test_all_else_is_kept() -> None:
    product, factor, other = Product(), torch.randn(4, 5, requires_grad=True), torch.randn(4, 5)
    with made_again(product(), product):
        out = factor * other
    out.sum().backward()
    assert len(product.dtypes) == 1
    assert factor.grad is not None
    assert torch.equal(factor.grad, other)


def test_it_is_made_under_the_same_autocast() -> None:
    product, factor = Product(), torch.randn(4, 5, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        value = product()
        with made_again(value, product):
            out = factor * value
    out.sum().backward()
    assert product.dtypes == [torch.bfloat16, torch.bfloat16]
    assert factor.grad is not None
    assert torch.equal(factor.grad, value)
