"""GroupNorm where a group holds a single value: 0 before the affine step, as its formula says; elsewhere PyTorch's own."""

import torch
from torch import nn

from unipan.models.feature_decoder import group_norm


def test_a_group_of_one_value_becomes_zero() -> None:
    """A narrow network, one image, a map of one cell: torch.nn.GroupNorm refuses it."""
    norm = group_norm(16)
    assert norm.num_groups == 16
    nn.init.normal_(norm.bias)
    image = torch.randn(1, 16, 1, 1, requires_grad=True)
    answer = norm(image)
    torch.testing.assert_close(answer.flatten(), norm.bias, rtol=0, atol=1e-4)
    answer.sum().backward()
    assert torch.equal(image.grad, torch.zeros_like(image))  # type: ignore[arg-type]
    assert torch.equal(norm.bias.grad, torch.ones(16))  # type: ignore[arg-type]


def test_elsewhere_it_is_pytorchs() -> None:
    norm, theirs = group_norm(48), nn.GroupNorm(16, 48)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    theirs.load_state_dict(norm.state_dict())
    image = torch.randn(2, 48, 3, 5)
    assert torch.equal(norm(image), theirs(image))
