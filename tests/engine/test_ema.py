"""The average of weights against its definition, written out in float64."""

import pytest
import torch
from torch import nn

from unipan.engine.ema import WeightAverage
from unipan.errors import InputError


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2)
        self.frozen = nn.Parameter(torch.tensor([7.0]), requires_grad=False)
        self.norm = nn.BatchNorm1d(2)


def train(network: Small, average: WeightAverage, steps: range) -> list[torch.Tensor]:
    """Move the weights as a training would; what they were after each step."""
    seen = []
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        with torch.no_grad():
            for parameter in (network.layer.weight, network.layer.bias):
                parameter += torch.randn(parameter.shape, generator=generator)
            network.norm.running_mean += step  # type: ignore[operator]
        average.update(step)
        seen.append(network.layer.weight.detach().double().clone())
    return seen


@pytest.mark.parametrize("decay", [0.1, 0.9, 0.999])
@pytest.mark.parametrize("steps", [1, 2, 30])
def test_a_step_counts_by_its_age_and_the_start_not_at_all(decay: float, steps: int) -> None:
    network = Small()
    average = WeightAverage(network, decay)
    seen = train(network, average, range(1, steps + 1))
    shares = [decay ** (steps - k) for k in range(1, steps + 1)]
    expected = sum(share * weight for share, weight in zip(shares, seen, strict=True)) / sum(shares)
    torch.testing.assert_close(average.state_dict()["layer.weight"].double(), expected, rtol=1e-5, atol=1e-5)


def test_what_is_not_trained_is_the_networks_own() -> None:
    network = Small()
    average = WeightAverage(network, 0.9)
    train(network, average, range(1, 5))
    state = average.state_dict()
    assert set(state) == set(network.state_dict())
    assert set(average.values) == {"layer.weight", "layer.bias", "norm.weight", "norm.bias"}
    assert state["frozen"].item() == 7
    assert torch.equal(state["norm.running_mean"], torch.tensor([10.0, 10.0]))


def test_the_average_is_no_view_of_the_weights_and_changes_none() -> None:
    network = Small()
    before = network.layer.weight.detach().clone()
    average = WeightAverage(network, 0.5)
    average.update(1)
    assert torch.equal(network.layer.weight, before)
    with torch.no_grad():
        network.layer.weight += 1
    assert torch.equal(average.values["layer.weight"], before)


def test_a_saved_average_goes_on_to_the_bit() -> None:
    whole_network, stopped_network = Small(), Small()
    whole, stopped = WeightAverage(whole_network, 0.9), WeightAverage(stopped_network, 0.9)
    train(whole_network, whole, range(1, 9))
    train(stopped_network, stopped, range(1, 4))
    resumed = WeightAverage(stopped_network, 0.9, {name: value.clone() for name, value in stopped.values.items()})
    train(stopped_network, resumed, range(4, 9))
    assert all(torch.equal(value, resumed.values[name]) for name, value in whole.values.items())


@pytest.mark.parametrize("saved", [{}, {"layer.weight": torch.zeros(1)}])
def test_an_average_of_another_network_is_refused(saved: dict[str, torch.Tensor]) -> None:
    with pytest.raises(InputError, match=r"the average of layer\.weight.* is missing or of another shape"):
        WeightAverage(Small(), 0.9, saved)
