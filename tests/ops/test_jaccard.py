"""The fast form against the plain one: the same sum of errors times weights, whatever the order of equal errors."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from unipan.ops.jaccard import jaccard_weights, weights_by_argsort, weights_by_bits


@given(rows=st.integers(0, 4), pixels=st.integers(0, 40), steps=st.sampled_from([1, 5, 10_000]), seed=st.integers(0, 999))
def test_both_forms_weigh_alike(rows: int, pixels: int, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    errors = torch.randint(-steps, 2 * steps + 1, (rows, pixels), generator=generator) / steps  # few steps: many equal errors
    truth = torch.rand(rows, pixels, generator=generator) < 0.4
    expected = (errors.double().relu() * weights_by_argsort(errors.double(), truth)).sum(1)
    found = (errors.double().relu() * weights_by_bits(errors, truth).double()).sum(1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_of_different_errors_each_weight_is_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    errors = torch.stack([torch.randperm(5000, generator=generator) for _ in range(3)]) / 5000
    truth = errors > 0.7
    torch.testing.assert_close(weights_by_bits(errors, truth), weights_by_argsort(errors, truth), atol=1e-6, rtol=1e-5)


def test_a_negative_zero_sorts_as_zero_and_doubles_take_the_plain_form() -> None:
    errors, truth = torch.tensor([[-0.0, 0.5, 0.25]]), torch.tensor([[True, False, True]])
    assert weights_by_bits(errors, truth).tolist()[0][1:] == weights_by_argsort(errors, truth).tolist()[0][1:]
    assert jaccard_weights(errors.double(), truth).dtype == torch.float64


def test_not_a_number_stays_one() -> None:
    errors = torch.tensor([[float("nan"), 0.5, float("inf")]])
    weights = weights_by_bits(errors, torch.tensor([[False, True, False]]))
    assert (errors * weights).sum().isnan()
    assert weights.isfinite().all()
