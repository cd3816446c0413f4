"""accelerate, behind this one file: the device, mixed precision, and what a training step needs of them."""

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from unipan.config import Device, Precision
from unipan.errors import InputError
from unipan.ops.device import find_device

_MIXED: dict[Precision, Literal["no", "bf16", "fp16"]] = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


class Runtime:
    """One process on one device, `auto` being the GPU where there is one.

    Under bf16 and fp16 the prepared network runs under autocast; its weights, its outputs and the losses stay float32.
    """

    def __init__(self, *, device: Device = "auto", precision: Precision = "fp32") -> None:
        find_device(device)  # refuses one that is not there
        # accelerate keeps device and precision for the whole process and refuses to change them; each of our runs states its own.
        AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
        try:
            self.accelerator = Accelerator(cpu=device == "cpu", mixed_precision=_MIXED[precision])
        except ValueError as error:  # its only complaint here: the precision does not go with the device
            raise InputError(_unavailable(precision, str(error))) from error
        if precision != "fp32" and not self.accelerator.native_amp:  # fp16 on a CPU, which accelerate takes and then ignores
            raise InputError(_unavailable(precision, f"it is {self.device.type}"))
        if self.accelerator.num_processes > 1:
            raise InputError(
                f"training was launched with {self.accelerator.num_processes} processes, but it runs in one so far; "
                "start it without a launcher."
            )

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    def prepare(self, network: nn.Module) -> nn.Module:
        """Move the network to the device (and wrap it, where accelerate must)."""
        return self.accelerator.prepare_model(network)

    def release(self, prepared: nn.Module) -> None:
        """Undo `prepare`'s wrapping in place: the network computes in float32 again, as a loaded one does."""
        self.accelerator.unwrap_model(prepared, keep_fp32_wrapper=False)

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def clip(self, optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
        """Scale the gradients down to `max_norm`; returns the norm before, infinite where fp16 overflowed."""
        if self._scaler:
            self._scaler.unscale_(optimizer)
        norm = self.accelerator.clip_grad_norm_(list(parameters), max_norm)
        assert isinstance(norm, Tensor), "a model sharded by accelerate would give none"
        return norm

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Step the optimiser; under fp16 only if no gradient overflowed, and adapt the factor that losses are scaled by."""
        if self._scaler is None:
            optimizer.step()
            return
        self._scaler.step(optimizer)
        self._scaler.update()

    @property
    def scaler_state(self) -> dict[str, Tensor]:
        """What fp16's loss scaling must remember to go on exactly; {} otherwise."""
        state = self._scaler.state_dict() if self._scaler else {}
        return {name: torch.tensor(float(state[name])) for name in ("scale", "_growth_tracker") if name in state}

    def restore_scaler(self, state: Mapping[str, Tensor]) -> None:
        """Go on with a saved `scaler_state`."""
        if self._scaler:
            tracker = int(state["_growth_tracker"])
            self._scaler.load_state_dict(self._scaler.state_dict() | {"scale": float(state["scale"]), "_growth_tracker": tracker})

    @property
    def _scaler(self) -> torch.amp.GradScaler | None:
        return self.accelerator.scaler


def _unavailable(precision: Precision, reason: str) -> str:
    return (
        f"train.precision {precision} cannot be had on this device ({reason}); choose --train.precision fp32 or bf16, "
        "or another --train.device."
    )
