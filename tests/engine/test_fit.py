"""The loop on a network of one weight: what a step does, in which order, and what stops it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp

import pytest
import torch
from seen import Seen
from torch import Tensor, nn

from unipan.engine import fit as fit_file
from unipan.engine.fit import Hook, Step, Trainer, fit
from unipan.engine.guards import Guard
from unipan.engine.optimize import build_optimizer
from unipan.engine.runtime import Runtime
from unipan.errors import InputError
from unipan.terms import Losses, Term
from unipan.types import Admission, Batch

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
    batches: Iterable[Batch],
    *,
    network: OneWeight | None = None,
    first_step: int = 1,
    rate: Callable[[int], float] = lambda step: 0.1,
    seed: int = 0,
    clip_norm: float = 1e6,
    criterion: Means = NEAR_AND_FAR,
    seen: Seen | None = None,
    hooks: Sequence[Hook] = (),
) -> tuple[OneWeight, list[Step]]:
    network, runtime, seen = network or OneWeight(), Runtime(), seen or Seen()
    trainer = Trainer(
        network=runtime.prepare(network),
        criterion=criterion,  # type: ignore[arg-type]
        optimizer=build_optimizer(network, "sgd", momentum=0.0, weight_decay=0.0),
        runtime=runtime,
        rate=rate,
        seed=seed,
        clip_norm=clip_norm,
        admission=ADMISSION,
        passes=1,
        guard=Guard(Path(mkdtemp()), "stop"),
    )
    fit(trainer, batches, [seen, *hooks], first_step=first_step)
    return network, seen.steps


def test_steps_are_numbered_from_the_first_and_tell_what_happened() -> None:
    network, steps = run([batch(1.0), batch(2.0)], first_step=7, rate=lambda step: step / 100)
    assert [step.index for step in steps] == [7, 8]
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


def test_a_seed_may_be_the_time_in_nanoseconds() -> None:
    network, _ = run([batch(1.0)] * 2, seed=1_700_000_000_000_000_000)
    assert len(set(network.drawn)) == 2


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

    network, seen = OneWeight(), Seen()
    batches = [batch(1.0), batch(3.0, "one.png", "two.png"), batch(1.0)]
    with pytest.raises(InputError, match=r"^step 12: loss bad is not finite, on the images one\.png, two\.png ") as caught:
        run(batches, network=network, first_step=11, criterion=Means(breaking, "good", "bad", "fine"), seen=seen)
    assert "train.learning-rate" in str(caught.value)
    assert [step.index for step in seen.steps] == [11]
    assert network.weight.item() == pytest.approx(5 - 0.1 * 3), "the broken step must not change the weights"


def test_every_broken_term_is_named() -> None:
    with pytest.raises(InputError, match="loss near, far is not finite"):
        run([batch(float("nan"))])


def test_no_batches_no_steps() -> None:
    network, steps = run([])
    assert steps == []
    assert network.weight.item() == 5.0


class Told(Hook):
    """Notes when it is called; may ask for an end, or fail."""

    def __init__(self, name: str, calls: list[str], *, stop_at: int = 0, end_at: int = 0, fail_at: int = 0) -> None:
        self.name, self.calls, self.stop_at, self.end_at, self.fail_at = name, calls, stop_at, end_at, fail_at

    def before_step(self, index: int, batch: Batch) -> None:
        self.calls.append(f"{self.name} before {index} {batch.names[0]}")

    def after_step(self, step: Step) -> None:
        self.calls.append(f"{self.name} after {step.index} {step.fields}")
        step.fields[self.name] = 1
        step.stop = KeyError("asked") if step.index == self.stop_at else step.stop
        step.should_stop |= step.index == self.end_at
        if step.index == self.fail_at:
            raise ZeroDivisionError

    def at_end(self) -> None:
        self.calls.append(f"{self.name} end")

    def close(self) -> None:
        self.calls.append(f"{self.name} close")


def test_hooks_are_called_in_their_order_and_see_what_those_before_them_found() -> None:
    calls: list[str] = []
    run([batch(1.0, "a.png")], hooks=[Told("one", calls), Told("two", calls)])
    assert calls == [
        *("one before 1 a.png", "two before 1 a.png", "one after 1 {}", "two after 1 {'one': 1}"),
        *("one end", "two end", "two close", "one close"),
    ]


def test_a_stop_comes_when_every_hook_has_seen_the_step_and_all_are_closed() -> None:
    calls: list[str] = []
    with pytest.raises(KeyError, match="asked"):
        run([batch(1.0)] * 3, hooks=[Told("one", calls, stop_at=2), Told("two", calls)])
    assert calls[-4:] == ["one after 2 {}", "two after 2 {'one': 1}", "two close", "one close"]


def test_an_early_end_is_an_end_like_the_last_step_s() -> None:
    calls: list[str] = []
    _, steps = run([batch(1.0)] * 3, hooks=[Told("one", calls, end_at=2), Told("two", calls)])
    assert [step.index for step in steps] == [1, 2]
    assert calls[-4:] == ["one end", "two end", "two close", "one close"]


@pytest.mark.parametrize("hooked", [True, False])
def test_hooks_are_closed_after_an_error(hooked: bool) -> None:
    calls: list[str] = []

    def batches() -> Iterator[Batch]:
        yield batch(1.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(batches(), hooks=[Told("one", calls, fail_at=int(hooked))])
    assert calls[-1] == "one close"
    assert "one end" not in calls


def test_waiting_is_told_from_working(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(fit_file, "perf_counter", lambda: now[0])

    def slow_batches() -> Iterator[Batch]:
        for seconds in (3.0, 1.0):
            now[0] += seconds
            yield batch(1.0)

    class Slow(OneWeight):
        def forward(self, *arguments, **options) -> Tensor:
            now[0] += 2.0
            return super().forward(*arguments, **options)

    class Evaluating(Hook):
        def after_step(self, step: Step) -> None:
            now[0] += 50.0

    _, steps = run(slow_batches(), network=Slow(), hooks=[Evaluating()])
    assert [(step.data_seconds, step.seconds) for step in steps] == [(3.0, 2.0), (1.0, 2.0)]
