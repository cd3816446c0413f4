"""Several passes make the step that one makes: by hand on one weight, and on whole detectors; and what is refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
import torch
from process_cases import FULL, ONE_SIDED, SHORT, Case, Trained, differences, losses_of, train_case, worst_difference
from seen import Seen
from torch import Tensor, nn

from unipan.config import Config, LossConfig, TrainConfig
from unipan.engine.fit import Step, Trainer, fit
from unipan.engine.guards import Guard
from unipan.engine.optimize import build_optimizer
from unipan.engine.runtime import Runtime
from unipan.errors import InputError
from unipan.presets import scenes
from unipan.recipes.training.setup import check_divisible
from unipan.terms import Losses, Term
from unipan.types import Admission, Batch


class Weighing(nn.Module):
    """Answers with its weight times each image's mean; remembers how many images came at once, and whether gradients did."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(5.0))
        self.calls: list[tuple[int, bool]] = []

    def forward(self, images: Tensor, sizes, targets, *, admission: Admission) -> Tensor:
        self.calls.append((len(images), torch.is_grad_enabled()))
        return self.weight * images.mean((1, 2, 3))


class AboveZero:
    """One term: the mean of the answers above 0, so that what it is divided by follows from the answers. "none" has no count."""

    names: Sequence[str] = ["absent", "near", "none"]

    def terms(self, outputs: Tensor, targets) -> dict[str, Term]:
        return {"near": Term(outputs.relu().sum(), (outputs > 0).sum().float()), "none": Term(outputs.sum() * 0, torch.zeros(()))}

    def weigh(self, terms: Mapping[str, Term]) -> Losses:
        return Losses({name: 2 * term.mean for name, term in terms.items()})


class NoTarget:
    """What this network has no use for."""

    def to(self, device) -> "NoTarget":
        return self


def step_by_hand(values: list[float], passes: int, folder: Path) -> tuple[Weighing, Step]:
    """One step, of rate 0.1, on images of these values."""
    images = torch.tensor(values)[:, None, None, None].expand(-1, 3, 2, 2)
    sizes, names = tuple((2, 2) for _ in values), tuple(f"{value}.png" for value in values)
    batch = Batch(images=images, sizes=sizes, targets=(NoTarget(),) * len(values), names=names)  # type: ignore[arg-type]
    network, seen, runtime = Weighing(), Seen(), Runtime(device="cpu")
    trainer = Trainer(
        network=runtime.prepare(network),
        criterion=AboveZero(),  # type: ignore[arg-type]
        optimizer=build_optimizer(network, "sgd", momentum=0.0, weight_decay=0.0),
        runtime=runtime,
        rate=lambda step: 0.1,
        seed=0,
        clip_norm=1e6,
        admission=Admission(0.5, 3),
        passes=passes,
        guard=Guard(folder, "stop"),
    )
    fit(trainer, [batch], [seen], first_step=1)
    return network, seen.steps[0]


@pytest.mark.parametrize("passes", [1, 2, 4])
def test_what_is_divided_by_is_counted_over_the_step(passes: int, tmp_path: Path) -> None:
    network, step = step_by_hand([1.0, -8.0, 2.0, 6.0], passes, tmp_path)
    # Three answers are above 0: 2 * 5 * (1 + 2 + 6) / 3 = 30, and 6 for each unit of weight. The mean of two halves' means would
    # be 2 * 5 * (1 + 4) / 2 = 25.
    assert step.losses == {"loss": 30.0, "loss/near": 30.0, "loss/none": 0.0}
    assert step.gradient_norm == pytest.approx(6.0)
    assert network.weight.item() == pytest.approx(5 - 0.1 * 6)


def test_one_pass_computes_once_and_several_twice(tmp_path: Path) -> None:
    values = [1.0, 2.0, 3.0, 4.0]
    assert step_by_hand(values, 1, tmp_path)[0].calls == [(4, True)]
    assert step_by_hand(values, 2, tmp_path)[0].calls == [(2, False), (2, False), (2, True), (2, True)]


@pytest.mark.parametrize(("case", "passes"), [(SHORT, 2), (SHORT, 4), (replace(ONE_SIDED, steps=3), 2)])
def test_several_passes_train_as_one(case: Case, passes: int, alone: Callable[[Case], Trained], tmp_path: Path) -> None:
    whole, parts = alone(case), train_case(case, tmp_path, passes=passes)
    torch.testing.assert_close(losses_of(parts), losses_of(whole), rtol=1e-6, atol=1e-9)
    assert worst_difference(parts, whole) < 1e-12
    assert parts.momentum == whole.momentum


def test_in_float32_the_last_bits_differ_at_most(alone: Callable[[Case], Trained], tmp_path: Path) -> None:
    whole, parts = alone(FULL), train_case(FULL, tmp_path, passes=2)
    torch.testing.assert_close(losses_of(parts), losses_of(whole), rtol=1e-4, atol=1e-5)
    # In one of eight trainings a last bit crosses a kink, and a tensor moves by 2e-4; half of the tensors move by 3e-8 at most.
    assert median(differences(parts, whole)) < 1e-6
    assert worst_difference(parts, whole) < 1e-2


def config(**schedule: int) -> Config:
    return replace(scenes(), train=TrainConfig(**schedule))  # type: ignore[arg-type]


def test_a_batch_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(InputError, match=r"train\.batch_size \(4\) must be a multiple of train\.accumulate \(3\)"):
        TrainConfig(batch_size=4, accumulate=3)
    with pytest.raises(InputError, match=r"train\.accumulate is 0; it must be above 0"):
        TrainConfig(accumulate=0)
    check_divisible(config(batch_size=8, accumulate=2), 4)
    with pytest.raises(InputError, match=r"8 cannot be shared by 3 processes x train\.accumulate 2; it must be a multiple of 6"):
        check_divisible(config(batch_size=8, accumulate=2), 3)


def test_batch_norms_that_are_fine_tuned_would_count_a_pass_twice() -> None:
    tuned = replace(scenes().model, freeze_batchnorm=False)
    with pytest.raises(InputError, match=r"train\.accumulate is 2, but batch norms that are fine-tuned"):
        replace(config(batch_size=4, accumulate=2), model=tuned)


def test_groups_that_would_straddle_shares_are_refused() -> None:
    grouped = replace(config(batch_size=12), loss=LossConfig(semantic_lovasz=1.0, group=4))
    check_divisible(grouped, 1)
    check_divisible(grouped, 3)
    with pytest.raises(InputError, match=r"shares of 6 images, but one Lovasz-softmax takes loss\.group 4.*a multiple of 8"):
        check_divisible(grouped, 2)
    check_divisible(replace(grouped, loss=LossConfig(group=4)), 2)  # without the loss there are no groups
    check_divisible(replace(grouped, train=TrainConfig(batch_size=10)), 1)  # one process alone may have a smaller last group
