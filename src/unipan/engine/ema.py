"""An exponential moving average of the weights, without the bias of its start."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from unipan.checkpoint import alike
from unipan.engine.fit import Hook, Step
from unipan.errors import InputError


class WeightAverage(Hook):
    """The average after steps 1..t, in which step k counts in proportion to decay^(t - k).

    That is Adam's correction of the bias (Kingma and Ba, 2015, section 3), applied to weights: those from before the first step
    don't count at all. Only weights that are trained are averaged; the rest is the network's own.
    """

    def __init__(self, network: nn.Module, decay: float, saved: Mapping[str, Tensor] | None = None) -> None:
        """decay: in (0, 1). saved: `values` of a run that goes on."""
        self.network = network
        self.decay = decay
        self._trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
        start = self._trained if saved is None else saved
        wrong = [name for name, weight in self._trained.items() if name not in start or not alike(start[name], weight)]
        if wrong:
            raise InputError(
                f"the checkpoint does not fit this network: the average of {', '.join(wrong[:3])} is missing or of another "
                "shape. The settings must be those of the run that wrote it."
            )
        self.values = {name: start[name].detach().to(weight, copy=True) for name, weight in self._trained.items()}
        """By name, on the network's device; before the first step the network's own."""

    def after_step(self, step: Step) -> None:
        self.update(step.index)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Count the network's weights as those after optimiser step `step`, from 1. Every step must be counted, in order."""
        share = (1 - self.decay) / (1 - self.decay**step)  # 1 at the first step, falling towards 1 - decay
        for name, weight in self._trained.items():
            self.values[name].lerp_(weight, share)

    def state_dict(self) -> dict[str, Tensor]:
        """The whole network's weights, averaged where they are trained."""
        return dict(self.network.state_dict()) | self.values
