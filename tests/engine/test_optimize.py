"""The schedules and single steps by hand, and optimisers that go on where they stopped."""

from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from math import sqrt
from typing import get_args

import pytest
import torch
from torch import nn

from unipan.checkpoint import TrainingState
from unipan.choices import Optimizer
from unipan.engine.optimize import (
    build_optimizer,
    cosine_rate,
    learning_rate,
    restore_optimizer,
    set_learning_rate,
    training_state,
)
from unipan.errors import InputError


def cityscapes(step: int) -> float:
    """The paper's schedule for Cityscapes (section B)."""
    return learning_rate(step, base=0.01, warmup_steps=500, warmup_factor=1 / 3, decay_steps=(40_000, 55_000))


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (1, 0.01 / 3),
        (2, 0.01 / 3 + 0.02 / 3 / 500),
        (251, 0.02 / 3),  # half the way from 1/3 to 1
        (500, 0.01 - 0.02 / 3 / 500),
        (501, 0.01),
        (40_000, 0.01),
        (40_001, 0.001),
        (55_000, 0.001),
        (55_001, 0.0001),
        (65_000, 0.0001),
    ],
)
def test_cityscapes_schedule(step: int, rate: float) -> None:
    assert cityscapes(step) == pytest.approx(rate, rel=1e-12)


def test_warm_up_rises_at_every_step() -> None:
    rates = [cityscapes(step) for step in range(1, 502)]
    assert all(earlier < later for earlier, later in pairwise(rates))


def test_without_warm_up_and_decay_the_rate_is_the_base() -> None:
    for step in (1, 2, 1000):
        assert learning_rate(step, base=0.3, warmup_steps=0, warmup_factor=0.1, decay_steps=()) == 0.3


@pytest.mark.parametrize(
    ("step", "rate"),
    [(1, 0.1), (51, 0.55), (101, 1.0), (151, (1 + sqrt(0.5)) / 2), (201, 0.5), (251, (1 - sqrt(0.5)) / 2), (301, 0.0)],
)
def test_cosine_schedule(step: int, rate: float) -> None:
    """The first 100 steps warm up from a tenth; eighths of a circle lie 50 steps apart."""
    found = cosine_rate(step, base=1.0, warmup_steps=100, warmup_factor=0.1, steps=300)
    assert found == pytest.approx(rate, abs=1e-12)


def test_a_cosine_that_ends_in_its_warm_up() -> None:
    rates = [cosine_rate(step, base=1.0, warmup_steps=100, warmup_factor=0.1, steps=20) for step in range(1, 21)]
    assert all(earlier < later < 1 for earlier, later in pairwise(rates))


class Network(nn.Module):
    """Every kind of parameter that there is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.GroupNorm(1, 2)
        self.linear = nn.Linear(2, 2)
        self.scale = nn.Parameter(torch.ones(()))
        self.frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(self.norm(self.conv(images)).mean((2, 3))).pow(2).sum() * self.scale


@pytest.mark.parametrize("kind", get_args(Optimizer))
def test_only_weights_decay(kind: Optimizer) -> None:
    network = Network()
    decay = {
        id(p): group["weight_decay"]
        for group in build_optimizer(network, kind, momentum=0.9, weight_decay=0.1).param_groups
        for p in group["params"]
    }
    by_name = {name: decay.get(id(parameter)) for name, parameter in network.named_parameters()}
    assert by_name == {
        "conv.weight": 0.1,
        "conv.bias": 0.0,
        "norm.weight": 0.0,
        "norm.bias": 0.0,
        "linear.weight": 0.1,
        "linear.bias": 0.0,
        "scale": 0.0,
        "frozen": None,
    }


def test_one_step_by_hand() -> None:
    network = nn.Linear(1, 1)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.bias.fill_(1.0)
    optimizer = build_optimizer(network, "sgd", momentum=0.5, weight_decay=0.1)
    set_learning_rate(optimizer, 0.1)
    for _ in range(2):
        network(torch.tensor([[3.0]])).sum().backward()  # gradients 3 and 1
        optimizer.step()
        optimizer.zero_grad()
    # weight: 2 - 0.1 * (3 + 0.2) = 1.68; momentum 3.2 * 0.5 + 3 + 0.168 = 4.768; 1.68 - 0.4768 = 1.2032
    assert network.weight.item() == pytest.approx(1.2032)
    assert network.bias.item() == pytest.approx(1 - 0.1 - 0.15)


def test_one_step_of_adamw_by_hand() -> None:
    """Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019: decay first, then the corrected means."""
    network = nn.Linear(1, 1)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.bias.fill_(1.0)
    optimizer = build_optimizer(network, "adamw", momentum=0.5, weight_decay=0.1)
    set_learning_rate(optimizer, 0.1)
    for x in (3.0, 1.0):
        network(torch.tensor([[x]])).sum().backward()  # gradients x and 1
        optimizer.step()
        optimizer.zero_grad()
    # Each first step is one rate. Mean of the weight: 0.5 * 1.5 + 0.5 * 1 = 1.25, by 1 - 0.25; square: (0.999 * 9 + 1) / 1.999.
    weight = 2 * 0.99 - 0.1
    weight = weight * 0.99 - 0.1 * (1.25 / 0.75) / sqrt((0.999 * 9 + 1) / 1.999)
    assert network.weight.item() == pytest.approx(weight)
    assert network.bias.item() == pytest.approx(1 - 0.1 - 0.1)


def step(network: Network, optimizer: torch.optim.Optimizer, number: int) -> None:
    torch.manual_seed(number)
    set_learning_rate(optimizer, 0.05)
    network(torch.rand(2, 1, 5, 5)).backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("kind", get_args(Optimizer))
def test_the_state_is_all_that_must_be_saved(kind: Optimizer) -> None:
    torch.manual_seed(0)
    whole, first, second = Network(), Network(), Network()
    first.load_state_dict(whole.state_dict())
    optimizer = build_optimizer(whole, kind, momentum=0.9, weight_decay=0.01)
    for number in range(4):
        step(whole, optimizer, number)
    optimizer = build_optimizer(first, kind, momentum=0.9, weight_decay=0.01)
    for number in range(2):
        step(first, optimizer, number)
    state = training_state(2, first, optimizer, {})
    assert state.step == 2
    assert set(state.momentum) == {name for name, p in whole.named_parameters() if p.requires_grad}
    second.load_state_dict(state.weights)
    without = {name: tensor.clone() for name, tensor in second.state_dict().items()}
    optimizer = build_optimizer(second, kind, momentum=0.9, weight_decay=0.01)
    restore_optimizer(optimizer, second, state)
    for number in range(2, 4):
        step(second, optimizer, number)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    third = Network()
    third.load_state_dict(without)
    optimizer = build_optimizer(third, kind, momentum=0.9, weight_decay=0.01)
    for number in range(2, 4):
        step(third, optimizer, number)
    assert not torch.equal(third.linear.weight, whole.linear.weight), "momentum must matter, or the test above shows nothing"


@pytest.mark.parametrize("kind", get_args(Optimizer))
def test_a_weight_may_have_its_first_gradient_late(kind: Optimizer) -> None:
    """It then makes the step that it would have made as its first; before, no loss had reached it. A run may go on in between."""
    network = nn.ModuleDict({"early": nn.Linear(2, 1), "late": nn.Linear(2, 1)})
    optimizer = build_optimizer(network, kind, momentum=0.9, weight_decay=0.0)
    set_learning_rate(optimizer, 0.1)
    next(network.children())(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = deepcopy(training_state(1, network, optimizer, {}))
    assert set(state.momentum) == {"early.weight", "early.bias"}
    resumed = deepcopy(network)
    resumed_optimizer = build_optimizer(resumed, kind, momentum=0.9, weight_decay=0.0)
    set_learning_rate(resumed_optimizer, 0.1)
    restore_optimizer(resumed_optimizer, resumed, state)
    before = network.get_parameter("late.weight").detach().clone()
    for own, steps in ((network, optimizer), (resumed, resumed_optimizer)):
        own.zero_grad()
        torch.cat([layer(torch.ones(1, 2)) for layer in own.children()]).sum().backward()
        steps.step()
        torch.testing.assert_close(own.get_parameter("late.weight"), before - 0.1)  # its gradient is 1, as Adam makes of any
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), resumed.parameters(), strict=True))


def test_before_the_first_step_there_is_no_momentum() -> None:
    network = Network()
    assert training_state(0, network, build_optimizer(network, "sgd", momentum=0.9, weight_decay=0.0), {}).momentum == {}


@pytest.mark.parametrize("left_out", ["momentum", "squares", "updates"])
def test_adam_needs_all_of_its_state(left_out: str) -> None:
    network = nn.Linear(2, 1)
    kept = {"momentum": torch.ones(1, 2), "squares": torch.ones(1, 2), "updates": torch.tensor(3.0)}
    parts = {part: {"weight": tensor} for part, tensor in kept.items() if part != left_out}
    optimizer = build_optimizer(network, "adamw", momentum=0.9, weight_decay=0.0)
    with pytest.raises(InputError, match=f"checkpoint of step 5 does not fit this network: {left_out} of weight is missing"):
        restore_optimizer(optimizer, network, replace(TrainingState(5, {}, {}), **parts))
    assert not optimizer.state
