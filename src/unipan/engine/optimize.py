"""SGD with momentum and the published schedule; the learning rate is a function of the step alone, so nothing of it is saved."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from unipan.checkpoint import TrainingState, alike
from unipan.errors import InputError


def learning_rate(step: int, *, base: float, warmup_steps: int, warmup_factor: float, decay_steps: Sequence[int]) -> float:
    """Rate of optimiser step 1, 2, ...: linear warm-up from `warmup_factor * base`, then divided by 10 after each decay step.

    Paper, section B.
    """
    rate = base * 0.1 ** sum(step > decay for decay in decay_steps)
    if step > warmup_steps:
        return rate
    return rate * (warmup_factor + (1 - warmup_factor) * (step - 1) / warmup_steps)


def scaled_rate(rate: float, *, batch_size: int, reference_batch_size: int) -> float:
    """The learning rate for a batch of `batch_size`, in proportion to the one it is stated for; 0 takes it as it is.

    The linear rule of Goyal et al., "Accurate, Large Minibatch SGD", 2017.
    """
    return rate * batch_size / reference_batch_size if reference_batch_size else rate


def build_optimizer(network: nn.Module, *, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """SGD; norms, biases and scales (all with one dimension or none) are not decayed (our choice, as UPSNet does for biases)."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=0.0, momentum=momentum)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def training_state(
    step: int, network: nn.Module, optimizer: torch.optim.Optimizer, scaler: Mapping[str, Tensor]
) -> TrainingState:
    """What goes to the disk after `step` optimiser steps. scaler: the runtime's `scaler_state`."""
    momentum = {
        name: optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in network.named_parameters()
        if "momentum_buffer" in optimizer.state.get(parameter, {})
    }
    return TrainingState(step, dict(network.state_dict()), momentum, dict(scaler))


def restore_momentum(optimizer: torch.optim.Optimizer, network: nn.Module, state: TrainingState) -> None:
    """Give the optimiser the momentum of a saved state, which must be of this network's parameters."""
    parameters = dict(network.named_parameters())
    wrong = [name for name, value in state.momentum.items() if name not in parameters or not alike(value, parameters[name])]
    if wrong:
        raise InputError(
            f"the checkpoint of step {state.step} does not fit this network: momentum of {', '.join(wrong[:3])} is unknown or of "
            "another shape. The settings must be those of the run that wrote it."
        )
    for name, parameter in parameters.items():
        if name in state.momentum:
            optimizer.state[parameter]["momentum_buffer"] = state.momentum[name].to(parameter.device)
