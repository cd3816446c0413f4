"""What a deformable convolution on a CPU keeps for its backward pass."""

from collections.abc import Callable
from functools import partial
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

from unipan.ops.deform import project_then_gather

CIN, COUT, HEIGHT, WIDTH = 16, 32, 24, 32
OUTPUT_BYTES = 4 * COUT * HEIGHT * WIDTH

within_checkpoint = partial(project_then_gather, checkpointed=True)


def arguments() -> list[Tensor]:
    shapes = (1, CIN, HEIGHT, WIDTH), (1, 18, HEIGHT, WIDTH), (COUT, CIN, 3, 3)
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


def kept_bytes(form: Callable[..., object]) -> int:
    """Bytes that are still held after the call, its output's among them."""
    given = arguments()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        held = cast(Tensor, form(*given))
    assert held.requires_grad
    return sum(event.self_cpu_memory_usage for event in profiled.key_averages())


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every product counts as large."""
    monkeypatch.setattr("unipan.ops.deform.KEPT_BYTES", 0)


def test_a_small_product_is_kept() -> None:
    assert kept_bytes(project_then_gather) == kept_bytes(within_checkpoint)


@pytest.mark.usefixtures("large")
def test_a_large_product_is_made_again_and_not_kept() -> None:
    assert kept_bytes(project_then_gather) < kept_bytes(within_checkpoint) - 9 * OUTPUT_BYTES + 1000


def test_within_a_checkpoint_nothing_but_the_output_is_kept() -> None:
    assert kept_bytes(lambda *given: checkpoint(within_checkpoint, *given, use_reentrant=False)) < 1.1 * OUTPUT_BYTES


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("lowered", [False, True])
def test_made_again_or_kept_the_gradients_have_the_same_bits(lowered: bool) -> None:
    given = arguments()

    def gradients(form: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
            out = form(*given)
        return torch.autograd.grad(out, given, out.detach().cos())

    for again, kept in zip(gradients(project_then_gather), gradients(within_checkpoint), strict=True):
        assert torch.equal(again, kept)
