"""Every form of propagation against the explicit P x P matrix, in float64 on small maps."""

from typing import get_args

import pytest
import torch
from affinity_rows import affinity_rows
from torch import Tensor

from unipan.choices import Propagation
from unipan.errors import InputError
from unipan.ops.propagation import MIN_WEIGHT, propagate

FORMS: tuple[Propagation, ...] = get_args(Propagation)
ROWS_SUM_TO_ONE: tuple[Propagation, ...] = ("normalised", "softmax")


def dense_matrix(features: Tensor, form: Propagation) -> Tensor:
    """The affinity (P, P) written out; for `pooled` before the division by each channel's weight."""
    cells, dim = features.shape
    products = torch.einsum("id,jd->ij", features, features)
    match form:
        case "none":
            return torch.eye(cells, dtype=features.dtype)
        case "dot":
            return products / cells
        case "pooled":
            return products / dim**0.5
        case "normalised":
            phi = torch.where(features > 0, features + 1, features.exp())
            kernel = torch.einsum("id,jd->ij", phi, phi)
            return kernel / kernel.sum(1, keepdim=True)
        case "softmax":
            weights = (products / dim**0.5).exp()
            return weights / weights.sum(1, keepdim=True)


def dense(potentials: Tensor, features: Tensor, form: Propagation) -> Tensor:
    evidence = torch.einsum("ij,kj->ki", dense_matrix(features, form), potentials)
    return evidence / potentials.sum(1, keepdim=True) if form == "pooled" else evidence


def problem(channels: int, cells: int, dim: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(channels + 100 * cells)
    potentials = torch.rand(channels, cells, generator=random, dtype=torch.float64) + 0.01
    return potentials.to(dtype), torch.randn(cells, dim, generator=random, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("channels", "cells", "dim"), [(5, 42, 8), (1, 30, 16), (19, 40, 8), (8, 33, 8), (3, 1, 4), (0, 20, 8)])
def test_equals_the_explicit_matrix(form: Propagation, dtype: torch.dtype, channels: int, cells: int, dim: int) -> None:
    potentials, features = problem(channels, cells, dim)
    evidence = propagate(potentials.to(dtype), features.to(dtype), form)
    assert evidence.shape == (channels, cells)
    assert evidence.dtype == dtype
    torch.testing.assert_close(evidence.double(), dense(potentials, features, form), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_equal_the_explicit_matrix(form: Propagation) -> None:
    potentials, features = (t.requires_grad_() for t in problem(11, 25, 8))
    pull = torch.linspace(-1, 1, 11 * 25, dtype=torch.float64).view(11, 25)
    mine = torch.autograd.grad(propagate(potentials, features, form), (potentials, features), pull, allow_unused=form == "none")
    theirs = torch.autograd.grad(
        dense(potentials, features, form), (potentials, features), pull, materialize_grads=True, allow_unused=True
    )
    torch.testing.assert_close(mine[0], theirs[0])
    assert form == "none" or torch.allclose(mine[1], theirs[1])


@pytest.mark.parametrize("form", FORMS)
def test_channels_keep_to_themselves(form: Propagation) -> None:
    potentials, features = problem(20, 36, 8)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    evidence = propagate(potentials, features, form)
    torch.testing.assert_close(propagate(potentials[order], features, form), evidence[order])
    torch.testing.assert_close(propagate(potentials[:3], features, form), evidence[:3])


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_channel_stays_empty_and_learns_finitely(form: Propagation) -> None:
    potentials, features = problem(3, 24, 8, torch.float32)
    potentials[1] = 0
    potentials.requires_grad_()
    features.requires_grad_()
    evidence = propagate(potentials, features, form)
    assert not evidence[1].any()
    (evidence.square().sum() + evidence.sum()).backward()
    assert potentials.grad.isfinite().all()
    assert form == "none" or features.grad.isfinite().all()


def test_a_faint_channel_fades_instead_of_being_normalised() -> None:
    _, features = problem(1, 24, 8)
    faint = torch.zeros(1, 24, dtype=torch.float64)
    faint[0, 0] = MIN_WEIGHT / 2
    expected = features[:1] @ features.T / 8**0.5 / 2
    torch.testing.assert_close(propagate(faint, features, "pooled"), expected)


@pytest.mark.parametrize("form", ["dot", "pooled", "normalised", "softmax"])
def test_evidence_reaches_a_cell_outside_the_box(form: Propagation) -> None:
    """Cells 0..3 are one object, but the detection's box stops before cell 3; its features are those of the object."""
    features = torch.tensor([[4.0, 0], [4, 0], [4, 0], [4, 0], [0, 4], [0, 4]])
    potentials = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 0.5, 1, 1]])
    assert propagate(potentials, features, "none")[:, 3].argmax() == 1
    evidence = propagate(potentials, features, form)
    assert evidence.argmax(0).tolist() == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shift", [-200.0, 200.0])
def test_extreme_features_give_finite_evidence(form: Propagation, shift: float) -> None:
    potentials, features = problem(4, 24, 8, torch.float32)
    features = (features + shift).requires_grad_()
    evidence = propagate(potentials, features, form)
    assert evidence.isfinite().all()
    if form != "none":
        evidence.sum().backward()
        assert features.grad.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_reduced_precision_is_computed_in_float32(form: Propagation) -> None:
    potentials, features = problem(4, 300, 8, torch.bfloat16)
    expected = propagate(potentials.float(), features.float(), form)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        evidence = propagate(potentials, features, form)
    assert evidence.dtype == torch.float32
    torch.testing.assert_close(evidence, expected)


def test_softmax_refuses_a_large_map_unless_told() -> None:
    potentials, features = problem(2, 50, 4)
    with pytest.raises(InputError, match=r"50 cells; the limit is 49.*pooled"):
        propagate(potentials, features, "softmax", max_softmax_cells=49)
    assert propagate(potentials, features, "softmax", max_softmax_cells=50).shape == (2, 50)
    wide, wide_features = torch.zeros(1, 40_000), torch.zeros(40_000, 4)
    with pytest.raises(InputError, match="the limit is 32768"):
        propagate(wide, wide_features, "softmax")


def largest_allocation(potentials: Tensor, features: Tensor, form: Propagation) -> int:
    """Bytes of the largest single allocation on the CPU, forward and backward."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        propagate(potentials, features, form).sum().backward()
    return max(event.self_cpu_memory_usage for event in profile.events())


@pytest.mark.parametrize(("form", "cells"), [("dot", 40_000), ("pooled", 40_000), ("normalised", 40_000), ("softmax", 3_000)])
def test_never_builds_the_matrix(form: Propagation, cells: int) -> None:
    """The matrix would have P*P floats; no operator may hold more than a few maps of K + D channels."""
    channels, dim = 20, 16
    potentials, features = (t.requires_grad_() for t in problem(channels, cells, dim, torch.float32))
    map_bytes = cells * (channels + dim) * 4
    assert largest_allocation(potentials, features, form) < 8 * map_bytes < cells * cells


@pytest.mark.parametrize("form", FORMS)
def test_affinity_rows_are_those_of_the_matrix(form: Propagation) -> None:
    _, features = problem(1, 30, 8)
    cells = torch.tensor([3, 29, 3])
    rows = affinity_rows(features, cells, form)
    expected = dense_matrix(features, "pooled" if form == "none" else form)
    torch.testing.assert_close(rows, expected[cells])
    if form in ROWS_SUM_TO_ONE:
        torch.testing.assert_close(rows.sum(1), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("form", ["dot", "pooled"])
def test_a_row_is_what_a_channel_of_that_cell_alone_would_spread(form: Propagation) -> None:
    _, features = problem(1, 30, 8)
    alone = torch.zeros(1, 30, dtype=torch.float64)
    alone[0, 7] = 1
    torch.testing.assert_close(affinity_rows(features, torch.tensor([7]), form), propagate(alone, features, form))
