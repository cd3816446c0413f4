"""The published schedule by hand, and an optimiser that goes on where it stopped."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from unipan.engine.optimize import build_optimizer, learning_rate, restore_momentum, set_learning_rate, training_state


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


def test_only_weights_decay() -> None:
    network = Network()
    decay = {
        id(p): group["weight_decay"]
        for group in build_optimizer(network, momentum=0.9, weight_decay=0.1).param_groups
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
    optimizer = build_optimizer(network, momentum=0.5, weight_decay=0.1)
    set_learning_rate(optimizer, 0.1)
    for _ in range(2):
        network(torch.tensor([[3.0]])).sum().backward()  # gradients 3 and 1
        optimizer.step()
        optimizer.zero_grad()
    # weight: 2 - 0.1 * (3 + 0.2) = 1.68; momentum 3.2 * 0.5 + 3 + 0.168 = 4.768; 1.68 - 0.4768 = 1.2032
    assert network.weight.item() == pytest.approx(1.2032)
    assert network.bias.item() == pytest.approx(1 - 0.1 - 0.15)


def step(network: Network, optimizer: torch.optim.Optimizer, number: int) -> None:
    torch.manual_seed(number)
    set_learning_rate(optimizer, 0.05)
    network(torch.rand(2, 1, 5, 5)).backward()
    optimizer.step()
    optimizer.zero_grad()


def test_weights_and_momentum_are_all_that_must_be_saved() -> None:
    torch.manual_seed(0)
    whole, first, second = Network(), Network(), Network()
    first.load_state_dict(whole.state_dict())
    optimizer = build_optimizer(whole, momentum=0.9, weight_decay=0.01)
    for number in range(4):
        step(whole, optimizer, number)
    optimizer = build_optimizer(first, momentum=0.9, weight_decay=0.01)
    for number in range(2):
        step(first, optimizer, number)
    state = training_state(2, first, optimizer, {})
    assert state.step == 2
    assert set(state.momentum) == {name for name, p in whole.named_parameters() if p.requires_grad}
    second.load_state_dict(state.weights)
    without = {name: tensor.clone() for name, tensor in second.state_dict().items()}
    optimizer = build_optimizer(second, momentum=0.9, weight_decay=0.01)
    restore_momentum(optimizer, second, state)
    for number in range(2, 4):
        step(second, optimizer, number)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    third = Network()
    third.load_state_dict(without)
    optimizer = build_optimizer(third, momentum=0.9, weight_decay=0.01)
    for number in range(2, 4):
        step(third, optimizer, number)
    assert not torch.equal(third.linear.weight, whole.linear.weight), "momentum must matter, or the test above shows nothing"


def test_before_the_first_step_there_is_no_momentum() -> None:
    network = Network()
    assert training_state(0, network, build_optimizer(network, momentum=0.9, weight_decay=0.0), {}).momentum == {}
