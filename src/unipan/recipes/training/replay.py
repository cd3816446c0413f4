"""A faulty batch once more, through the weights of the run's newest checkpoint: to see which loss breaks, and on which image."""

from pathlib import Path

import torch

from unipan.checkpoint import RunFolder, fill, open_run
from unipan.choices import Device
from unipan.engine.accumulate import micro_batches
from unipan.engine.fit import loss_values
from unipan.engine.saved_batch import load_batch
from unipan.errors import InputError
from unipan.losses.build import criterion_of
from unipan.models.build import untrained_network
from unipan.ops.device import find_device
from unipan.ops.unit_floats import unit_floats
from unipan.recipes.training.checkpoints import newest_state
from unipan.recipes.training.setup import training_admission


def replay(run: str | Path, batch: Path, *, device: Device = "auto") -> dict[str, dict[str, float]]:
    """The losses of each image alone, by file name: "loss" is the total, "loss/NAME" the weighted terms.

    batch: RUN/faulty-batch-STEP.safetensors. The weights are those of the run's newest checkpoint, which may lie some steps
    before the batch; `unipan train ... --resume` comes to the very step.
    """
    saved = load_batch(batch)
    folder, config, classes = open_run(run)
    state = newest_state(RunFolder(folder.path))
    if state is None:
        raise InputError(f"{run} was stopped before its first checkpoint, so there are no weights to replay {batch.name} with.")
    network = untrained_network(config, classes)
    fill(network, state.weights, folder.checkpoint(state.step))
    network = network.to(find_device(device)).train()
    criterion = criterion_of(config, classes)
    losses = {}
    with torch.no_grad():
        for name, part in zip(saved.batch.names, micro_batches(saved.batch, len(saved.batch.names)), strict=True):
            one = part.to(find_device(device))
            outputs = network(unit_floats(one.images), one.sizes, one.targets, admission=training_admission(config))
            losses[name] = loss_values(criterion(outputs, one.targets))
    return losses
