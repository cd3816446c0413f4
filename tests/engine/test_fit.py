"""The loop on a network of one weight: what a step does, in which order, and what stops it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp

import pytest
import torch
from torch import Tensor, nn

from unipan.engine.fit import Step, fit
from unipan.engine.guards import Guard
from unipan.engine.optimize import build_optimizer
from unipan.engine.runtime import Runtime
from unipan.errors import InputError
from unipan.types import Admission, Batch, Losses, Term

ADMISSION = Admission(0.5, 3)


class OneWeight(nn.Module):
    """Answers with its weight times the mean of the images; remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(5.0))
        self.modes: list[bool] = []
        self.admissions: list[Admission] = []
        self.drawn: list[float] = []

    def forward(self, images: Tensor, sizes, targets, *, admission: Admission) -> Tensor:
        self.modes.append(self.training)
        self.admissions.append(admission)
        self.drawn.append(torch.rand(()).item())
        return self.weight * images.mean()


class Means:
    """A criterion whose terms are given, each as a sum over two."""

    def __init__(self, terms: Callable[[Tensor], dict[str, Tensor]], *names: str) -> None:
        self.names: Sequence[str] = names
        self._terms = terms

    def terms(self, outputs: Tensor, targets) -> dict[str, Term]:
        return {name: Term(2 * value, torch.tensor(2.0)) for name, value in self._terms(outputs).items()}

    def weigh(self, terms: Mapping[str, Term]) -> Losses:
        return Losses({name: term.mean for name, term in terms.items()})


NEAR_AND_FAR = Means(lambda output: {"near": output, "far": 3 * output}, "near", "far")


def batch(value: float, *names: str) -> Batch:
    return Batch(images=torch.full((1, 3, 2, 2), value), sizes=((2, 2),), targets=(), names=names or ("a.png",))


def run(
    batches: list[Batch],
    *,
    network: OneWeight | None = None,
    first_step: int = 1,
    rate: Callable[[int], float] = lambda step: 0.1,
    seed: int = 0,
    clip_norm: float = 1e6,
    criterion: Means = NEAR_AND_FAR,
    on_step: Callable[[Step], None] | None = None,
) -> tuple[OneWeight, list[Step]]:
    network = network or OneWeight()
    runtime = Runtime()
    steps: list[Step] = []
    fit(
        runtime.prepare(network),
        criterion,  # type: ignore[arg-type]
        build_optimizer(network, momentum=0.0, weight_decay=0.0),
        batches,
        runtime,
        first_step=first_step,
        rate=rate,
        seed=seed,
        clip_norm=clip_norm,
        admission=ADMISSION,
        passes=1,
        guard=Guard(Path(mkdtemp()), "stop"),
        on_step=on_step or steps.append,
    )
    return network, steps


def test_steps_are_numbered_from_the_first_and_tell_what_happened() -> None:
    network, steps = run([batch(1.0), batch(2.0)], first_step=7, rate=lambda step: step / 100)
    assert [step.number for step in steps] == [7, 8]
    assert [step.learning_rate for step in steps] == [0.07, 0.08]
    assert steps[0].losses == {"loss": 20.0, "loss/near": 5.0, "loss/far": 15.0}
    assert [step.gradient_norm for step in steps] == [4.0, 8.0], "the second step must not hold the first one's gradient"
    assert network.weight.item() == pytest.approx(5 - 0.07 * 4 - 0.08 * 8)


def test_the_network_trains_with_the_admission_given() -> None:
    network = OneWeight()
    network.eval()
    run([batch(1.0), batch(1.0)], network=network)
    assert network.modes == [True, True]
    assert network.admissions == [ADMISSION, ADMISSION]


def test_gradients_are_clipped_and_their_norm_told_before() -> None:
    network, steps = run([batch(25.0)], clip_norm=2.0)
    assert steps[0].gradient_norm == 100.0
    assert network.weight.item() == pytest.approx(5 - 0.1 * 2, abs=1e-6)


def test_randomness_follows_from_seed_and_step_alone() -> None:
    whole, _ = run([batch(1.0)] * 4, seed=3)
    torch.rand(99)
    rest, _ = run([batch(1.0)] * 2, seed=3, first_step=3)
    other, _ = run([batch(1.0)] * 4, seed=4)
    assert whole.drawn[2:] == rest.drawn
    assert len(set(whole.drawn + other.drawn)) == 8


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_is_named_with_its_step_and_images(value: float) -> None:
    def breaking(output: Tensor) -> dict[str, Tensor]:
        return {"good": output, "bad": output * value if output > 9 else output, "fine": output}

    network, told = OneWeight(), []
    batches = [batch(1.0), batch(3.0, "one.png", "two.png"), batch(1.0)]
    with pytest.raises(InputError, match=r"^step 12: loss bad is not finite, on the images one\.png, two\.png ") as caught:
        run(batches, network=network, first_step=11, criterion=Means(breaking, "good", "bad", "fine"), on_step=told.append)
    assert "train.learning-rate" in str(caught.value)
    assert [step.number for step in told] == [11]
    assert network.weight.item() == pytest.approx(5 - 0.1 * 3), "the broken step must not change the weights"


def test_every_broken_term_is_named() -> None:
    with pytest.raises(InputError, match="loss near, far is not finite"):
        run([batch(float("nan"))])


def test_no_batches_no_steps() -> None:
    network, steps = run([])
    assert steps == []
    assert network.weight.item() == 5.0
