"""What stands between a NaN and the weights."""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from unipan.choices import OnNonfinite
from unipan.engine.saved_batch import SavedBatch, save_batch
from unipan.errors import InputError
from unipan.types import Batch

MAX_IN_A_ROW = 10
"""So many steps left out one after the other are no accident: the training ends."""

GRADIENT = "gradient"
"""What is told to be broken where every loss is finite, but the gradient's norm is not."""


class Guard:
    """Looks at a step's numbers before they reach the weights; where one is not finite it keeps the batch and stops or skips."""

    def __init__(self, folder: Path, on_nonfinite: OnNonfinite, *, process: int = 0, processes: int = 1) -> None:
        """folder: where a broken step's batch goes, each process's share in a file of its own."""
        self.folder = folder
        self.on_nonfinite = on_nonfinite
        self.share = f"-process-{process}" if processes > 1 else ""
        self._in_a_row = 0
        self._last_broken = 0

    def broken(self, values: Mapping[str, float], step: int, batch: Batch) -> tuple[str, ...]:
        """Names of what is not finite; () lets the step go on, and any name leaves it out, unless the guard ends the training.

        values: the losses, "loss" for the total and "loss/NAME" for the terms, or `GRADIENT` for the gradient's norm. Every
        process must see the same ones, so that all decide alike.
        """
        names = tuple(name.removeprefix("loss/") for name, value in values.items() if not isfinite(value))
        terms = tuple(name for name in names if name != "loss") or names  # the total says nothing that its terms don't
        if not terms:
            return ()
        path = self.folder / f"faulty-batch-{step}{self.share}.safetensors"
        save_batch(path, SavedBatch(step, batch, terms))
        self._in_a_row = self._in_a_row + 1 if self._last_broken == step - 1 else 1
        self._last_broken = step
        report = f"step {step}: {_listed(terms)} not finite, on the images {', '.join(batch.names)} (saved in {path})"
        if self.on_nonfinite == "stop":
            raise InputError(
                f"{report}. Go on from the last checkpoint (train --resume) with --train.on-nonfinite skip, which leaves such "
                "steps out, or train anew with a lower --train.learning-rate or longer --train.warmup-steps; the last "
                "checkpoint is untouched."
            )
        if self._in_a_row >= MAX_IN_A_ROW:
            raise InputError(
                f"{report}. {MAX_IN_A_ROW} steps in a row were left out, so the training ends; train anew with a lower "
                "--train.learning-rate or longer --train.warmup-steps. The last checkpoint is untouched."
            )
        return terms


def _listed(terms: tuple[str, ...]) -> str:
    if terms == (GRADIENT,):
        return "every loss is finite, but the gradient is"
    return f"loss {', '.join(terms)} is"
