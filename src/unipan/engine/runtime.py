"""accelerate, behind this one file: the device, mixed precision, and what a training step needs of them."""

import os
from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from torch import Tensor, nn

from unipan.choices import Device, Precision
from unipan.engine.gradients import add_gradients
from unipan.engine.processes import this_process
from unipan.errors import InputError
from unipan.ops.device import find_device

SCALER_ENTRIES = ("scale", "_growth_tracker")
"""Of a gradient scaler's state, what changes from step to step."""

_MIXED: dict[Precision, Literal["no", "bf16", "fp16"]] = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


class Runtime:
    """This process on its device, `auto` being the GPU where there is one, and the other processes, if it was launched with some.

    Under bf16 and fp16 the prepared network runs under autocast; its weights, its outputs and the losses stay float32.
    """

    def __init__(self, *, device: Device = "auto", precision: Precision = "fp32") -> None:
        self.processes = this_process()
        chosen = find_device(device)  # refuses one that is not there
        _check_launch(chosen, self.processes.count)
        # accelerate keeps device and precision for the whole process and refuses to change them; each of our runs states its own.
        AcceleratorState._reset_state(reset_partial_state=True)
        try:
            self.accelerator = Accelerator(cpu=chosen.type == "cpu", mixed_precision=_MIXED[precision])
        except ValueError as error:  # its only complaint here: the precision does not go with the device
            raise InputError(_unavailable(precision, str(error))) from error
        if precision != "fp32" and not self.accelerator.native_amp:  # fp16 on a CPU, which accelerate takes and then ignores
            raise InputError(_unavailable(precision, f"it is {self.device.type}"))
        if self.accelerator.distributed_type not in (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU):
            raise InputError(
                f"accelerate was told to use {self.accelerator.distributed_type.value}, but training runs in plain processes "
                "with a whole network each; launch it with --multi_gpu, or with torchrun."
            )
        if self.accelerator.num_processes != self.processes.count:  # mpirun's environment, which accelerate reads and we do not
            raise InputError(
                f"{self.accelerator.num_processes} processes were launched in a way that is not supported; use torchrun or "
                "accelerate launch --multi_gpu."
            )

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    def prepare(self, network: nn.Module) -> nn.Module:
        """Move the network to the device, under autocast in mixed precision, with the main process's weights in all processes."""
        # evaluation_mode: without DistributedDataParallel, for the gradients are added by `add_gradients`.
        prepared = self.accelerator.prepare_model(network, evaluation_mode=True)
        for tensor in network.state_dict().values():
            self.processes.broadcast(tensor)
        return prepared

    def release(self, prepared: nn.Module) -> None:
        """Undo `prepare`'s wrapping in place: the network computes in float32 again, as a loaded one does."""
        self.accelerator.unwrap_model(prepared, keep_fp32_wrapper=False)

    def backward(self, loss: Tensor) -> None:
        """Add the loss's gradients to this process's. Not accelerate's, which divides by an accumulation set at its launch."""
        (self._scaler.scale(loss) if self._scaler else loss).backward()

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes; where fp16 overflowed in one, it then did in all."""
        add_gradients(parameters, self.processes)

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
        return {name: torch.tensor(float(state[name])) for name in SCALER_ENTRIES if name in state}

    def restore_scaler(self, state: Mapping[str, Tensor]) -> None:
        """Go on with a saved `scaler_state`."""
        if self._scaler is None:
            return
        missing = [name for name in SCALER_ENTRIES if name not in state or state[name].numel() != 1]
        if missing:
            raise InputError(
                f"the checkpoint does not say {' and '.join(missing)} of fp16's loss scaling, so no run in fp16 wrote it; go on "
                "with another, or with the precision of the run that wrote it."
            )
        own = self._scaler.state_dict()
        self._scaler.load_state_dict(own | {name: type(own[name])(state[name]) for name in SCALER_ENTRIES})

    @property
    def _scaler(self) -> torch.amp.GradScaler | None:
        return self.accelerator.scaler


def _check_launch(device: torch.device, processes: int) -> None:
    """Refuse processes that the device has no room for."""
    if processes > 1 and device.type == "mps":
        raise InputError(f"{processes} processes cannot share the device mps; choose --train.device cpu, or start one process.")
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if device.type == "cuda" and local > torch.cuda.device_count():
        raise InputError(
            f"{local} processes were launched on this machine, but it has {torch.cuda.device_count()} GPUs; launch one for each."
        )


def _unavailable(precision: Precision, reason: str) -> str:
    return (
        f"train.precision {precision} cannot be had on this device ({reason}); choose --train.precision fp32 or bf16, "
        "or another --train.device."
    )
