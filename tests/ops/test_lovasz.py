"""Against the definition: the Lovasz extension of the Jaccard loss, from the set function itself, in double precision."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unipan.ops.lovasz import lovasz_hinge, lovasz_softmax


def jaccard_loss(wrong: set[int], truth: set[int]) -> float:
    """1 - IoU of a mask that errs on exactly the pixels `wrong`."""
    predicted = truth ^ wrong
    union = predicted | truth
    return 1 - len(predicted & truth) / len(union) if union else 0.0


def extension(errors: list[float], truth: set[int]) -> float:
    """Sum over the sorted errors m_i of m_i * (Delta(S_i) - Delta(S_i-1)), S_i being the i pixels with the largest errors."""
    order = sorted(range(len(errors)), key=lambda pixel: -errors[pixel])
    rises = [jaccard_loss(set(order[: i + 1]), truth) - jaccard_loss(set(order[:i]), truth) for i in range(len(order))]
    return sum(errors[pixel] * rise for pixel, rise in zip(order, rises, strict=True))


def hinge_by_definition(logits: list[float], truth: list[bool]) -> float:
    errors = [max(0.0, 1 - value if true else 1 + value) for value, true in zip(logits, truth, strict=True)]
    return extension(errors, {pixel for pixel, true in enumerate(truth) if true})


def softmax_by_definition(probs: torch.Tensor, labels: list[int]) -> float:
    losses = []
    for index in set(labels):
        truth = {pixel for pixel, label in enumerate(labels) if label == index}
        errors = [1 - p if pixel in truth else p for pixel, p in enumerate(probs[index].tolist())]
        losses.append(extension(errors, truth))
    return sum(losses) / len(losses)


def perturbed(loss: Callable[[torch.Tensor], float], values: torch.Tensor) -> torch.Tensor:
    """The gradient of `loss` by central differences."""
    slopes = torch.zeros_like(values)
    for position in range(values.numel()):
        step = torch.zeros_like(values)
        step.view(-1)[position] = 1e-6
        slopes.view(-1)[position] = (loss(values + step) - loss(values - step)) / 2e-6
    return slopes


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_hinge_is_the_definition(data) -> None:
    pixels = data.draw(st.integers(0, 8))
    rows = [data.draw(st.lists(st.floats(-3, 3), min_size=pixels, max_size=pixels)) for _ in range(3)]
    truth = [data.draw(st.lists(st.booleans(), min_size=pixels, max_size=pixels)) for _ in range(3)]
    losses = lovasz_hinge(torch.tensor(rows, dtype=torch.float64).view(3, pixels), torch.tensor(truth).view(3, pixels))
    assert losses.tolist() == pytest.approx([hinge_by_definition(*row) for row in zip(rows, truth, strict=True)], abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=8), seed=st.integers(0, 999))
def test_softmax_is_the_definition(labels: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    probs = torch.randn(4, len(labels), generator=generator, dtype=torch.float64).softmax(0)
    assert lovasz_softmax(probs, torch.tensor(labels)).item() == pytest.approx(softmax_by_definition(probs, labels), abs=1e-12)


def test_hinge_gradient_is_the_definitions() -> None:
    logits = torch.randn(2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    truth = torch.tensor([[1, 0, 1, 0, 0, 1, 0], [0] * 7]).bool()

    def by_definition(values: torch.Tensor) -> float:
        return sum(hinge_by_definition(row, true) for row, true in zip(values.tolist(), truth.tolist(), strict=True))

    assert torch.autograd.gradcheck(lambda values: lovasz_hinge(values, truth), logits)
    (gradient,) = torch.autograd.grad(lovasz_hinge(logits, truth).sum(), logits)
    torch.testing.assert_close(gradient, perturbed(by_definition, logits.detach()), atol=1e-7, rtol=1e-6)


def test_softmax_gradient_is_the_definitions() -> None:
    logits = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    labels = torch.tensor([0, 3, 3, 0, 0, 2])
    assert torch.autograd.gradcheck(lambda values: lovasz_softmax(values.softmax(0), labels), logits)
    (gradient,) = torch.autograd.grad(lovasz_softmax(logits.softmax(0), labels), logits)
    slopes = perturbed(lambda values: softmax_by_definition(values.softmax(0), labels.tolist()), logits.detach())
    torch.testing.assert_close(gradient, slopes, atol=1e-7, rtol=1e-6)


def test_pixels_outside_valid_count_nowhere() -> None:
    logits = torch.randn(3, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(3), requires_grad=True)
    truth = torch.tensor([[1, 0, 0, 1, 1, 0, 1, 0, 1]]).repeat(3, 1)
    valid = torch.tensor([[True] * 5 + [False] * 4, [False] * 9, [False, True] * 4 + [False]])
    losses = lovasz_hinge(logits, truth, valid)
    alone = [lovasz_hinge(logits[row : row + 1, keep], truth[row : row + 1, keep]) for row, keep in enumerate(valid)]
    torch.testing.assert_close(losses, torch.cat(alone))
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert gradient[~valid].eq(0).all()
    assert losses[1] == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # sorted by their bits, and by argsort
def test_pixels_without_a_label_count_nowhere(dtype: torch.dtype) -> None:
    logits = torch.randn(4, 50, dtype=dtype, generator=torch.Generator().manual_seed(6), requires_grad=True)
    labels = torch.tensor([2, -1, 0, 0, -100] * 10)
    kept = labels >= 0
    loss, alone = lovasz_softmax(logits.softmax(0), labels), lovasz_softmax(logits[:, kept].softmax(0), labels[kept])
    torch.testing.assert_close(loss, alone)
    gradients = [torch.autograd.grad(value, logits)[0] for value in (loss, alone)]
    torch.testing.assert_close(*gradients)
    assert gradients[0][:, ~kept].eq(0).all()


def test_hinge_without_rows_or_pixels_is_zero() -> None:
    assert lovasz_hinge(torch.zeros(0, 5), torch.zeros(0, 5, dtype=torch.bool)).shape == (0,)
    assert lovasz_hinge(torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool)).tolist() == [0, 0]


@pytest.mark.parametrize("classes", [0, 3])
def test_softmax_without_pixels_is_zero_in_the_graph(classes: int) -> None:
    logits = torch.zeros(classes, 0, requires_grad=True)
    loss = lovasz_softmax(logits.softmax(0), torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss == 0
    assert logits.grad is not None


def test_softmax_of_one_pixel_is_what_its_class_lacks() -> None:
    probs = torch.tensor([[0.2], [0.7], [0.1]], requires_grad=True)
    loss = lovasz_softmax(probs, torch.tensor([1]))
    loss.backward()
    assert loss.item() == pytest.approx(0.3)
    assert probs.grad is not None
    assert probs.grad.flatten().tolist() == [0, -1, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_lifted(dtype: torch.dtype) -> None:
    logits = torch.randn(2, 5000, generator=torch.Generator().manual_seed(4)).to(dtype)
    labels = torch.arange(5000) % 2
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hinge, softmax = lovasz_hinge(logits, labels.expand(2, -1)), lovasz_softmax(logits.sigmoid(), labels)
    assert hinge.dtype == softmax.dtype == torch.float32
    torch.testing.assert_close(hinge, lovasz_hinge(logits.float(), labels.expand(2, -1)))
    torch.testing.assert_close(softmax, lovasz_softmax(logits.sigmoid().float(), labels))


def test_large_masks_keep_their_digits() -> None:
    """The gradient of one true class over a million pixels, against double precision: each weight is about 1e-6."""
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(1, 1_000_000, generator=generator, requires_grad=True)
    doubles = logits.detach().double().requires_grad_()
    truth = torch.rand(logits.shape, generator=generator) < 0.5
    for values in (logits, doubles):
        lovasz_hinge(values, truth).sum().backward()
    assert logits.grad is not None
    assert doubles.grad is not None
    torch.testing.assert_close(logits.grad.double(), doubles.grad, rtol=1e-5, atol=1e-11)
