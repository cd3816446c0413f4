"""The optimisers and the schedules; the learning rate is a function of the step alone, so nothing of it is saved."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import cos, pi
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from unipan.checkpoint import TrainingState, alike
from unipan.choices import Optimizer
from unipan.errors import InputError

SAVED = {
    "sgd": {"momentum_buffer": "momentum"},
    "adamw": {"exp_avg": "momentum", "exp_avg_sq": "squares", "step": "updates"},
}
"""What each optimiser keeps of a parameter, by PyTorch's names, and the part of a `TrainingState` that holds it."""

SQUARES_DECAY = 0.999
"""Of Adam's mean squared gradients: its authors' choice."""


def learning_rate(step: int, *, base: float, warmup_steps: int, warmup_factor: float, decay_steps: Sequence[int]) -> float:
    """Rate of optimiser step 1, 2, ...: linear warm-up from `warmup_factor * base`, then divided by 10 after each decay step.

    Paper, section B.
    """
    rate = base * 0.1 ** sum(step > decay for decay in decay_steps)
    return rate * _warmth(step, warmup_steps, warmup_factor)


def cosine_rate(step: int, *, base: float, warmup_steps: int, warmup_factor: float, steps: int) -> float:
    """Rate of optimiser step 1..steps: linear warm-up, then down to 0 (which step `steps` + 1 would have) on half a cosine.

    Loshchilov and Hutter, "SGDR", 2017, without restarts.
    """
    done = max(0, step - 1 - warmup_steps) / max(1, steps - warmup_steps)
    return base * (1 + cos(pi * done)) / 2 * _warmth(step, warmup_steps, warmup_factor)


def _warmth(step: int, warmup_steps: int, warmup_factor: float) -> float:
    """Which share of the full rate step 1, 2, ... has on the linear way up."""
    return 1.0 if step > warmup_steps else warmup_factor + (1 - warmup_factor) * (step - 1) / warmup_steps


def scaled_rate(rate: float, *, batch_size: int, reference_batch_size: int) -> float:
    """The learning rate for a batch of `batch_size`, in proportion to the one it is stated for; 0 takes it as it is.

    The linear rule of Goyal et al., "Accurate, Large Minibatch SGD", 2017.
    """
    return rate * batch_size / reference_batch_size if reference_batch_size else rate


def build_optimizer(network: nn.Module, kind: Optimizer, *, momentum: float, weight_decay: float) -> torch.optim.Optimizer:
    """Norms, biases and scales (all with one dimension or none) are not decayed (our choice, as UPSNet does for biases).

    Fused: one pass over all parameters in place of a dozen small operations for each.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    match kind:
        case "sgd":
            optimizer = torch.optim.SGD(groups, lr=0.0, momentum=momentum, fused=True)
            if momentum:
                optimizer.register_step_pre_hook(_momentum_from_zero)
            return optimizer
        case "adamw":
            return torch.optim.AdamW(groups, lr=0.0, betas=(momentum, SQUARES_DECAY), fused=True)
    assert_never(kind)


def _momentum_from_zero(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Give every weight that has its first gradient a momentum of 0, by which the step is what it is without one.

    PyTorch's fused step takes no weights with a momentum together with weights that have none, as those that no loss has reached.
    """
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if weight.grad is not None and "momentum_buffer" not in optimizer.state[weight]:
                optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight, memory_format=torch.preserve_format)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def training_state(
    step: int, network: nn.Module, optimizer: torch.optim.Optimizer, scaler: Mapping[str, Tensor]
) -> TrainingState:
    """What goes to the disk after `step` optimiser steps. scaler: the runtime's `scaler_state`."""
    parts = {
        part: {name: kept[key] for name, p in network.named_parameters() if key in (kept := optimizer.state.get(p, {}))}
        for key, part in _saved(optimizer).items()
    }
    return replace(TrainingState(step, dict(network.state_dict()), {}, scaler=dict(scaler)), **parts)


def restore_optimizer(optimizer: torch.optim.Optimizer, network: nn.Module, state: TrainingState) -> None:
    """Give the optimiser what it kept when a state was saved, which must be of this network's parameters."""
    parameters, saved = dict(network.named_parameters()), _saved(optimizer)
    parts = {key: getattr(state, part) for key, part in saved.items()}
    names = sorted(set().union(*parts.values()))
    wrong = [
        f"{part} of {name}"
        for key, part in saved.items()
        for name in names
        if name not in parameters or name not in parts[key] or not _fits(key, parts[key][name], parameters[name])
    ]
    if wrong:
        raise InputError(
            f"the checkpoint of step {state.step} does not fit this network: {', '.join(wrong[:3])} is missing, unknown or "
            "of another shape. The settings must be those of the run that wrote it."
        )
    for name in names:
        parameter = parameters[name]
        for key, tensors in parts.items():
            optimizer.state[parameter][key] = tensors[name].to(parameter.device)


def _saved(optimizer: torch.optim.Optimizer) -> dict[str, str]:
    return SAVED["adamw" if isinstance(optimizer, torch.optim.AdamW) else "sgd"]


def _fits(key: str, tensor: Tensor, parameter: Tensor) -> bool:
    return tensor.dim() == 0 if key == "step" else alike(tensor, parameter)
