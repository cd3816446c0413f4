"""Warnings while a network learns: said once, in a sentence, what would be found out only after days.

What was seen is written into the log (`new_classes`, `first_match`), so that a run that goes on knows it too.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from unipan.classes import VOID, ClassTable
from unipan.config import Config
from unipan.console import warn
from unipan.engine.fit import Hook, Step
from unipan.errors import plural
from unipan.losses.detection_matching import match_detections
from unipan.recipes.training.log import WINDOW
from unipan.types import Batch, Outputs, Target

STARVED_SHARE = 0.5
"""Of a step's time, spent waiting for images."""
UNSEEN_IMAGES = 1000
"""After so many images, or two rounds of a smaller data set, every class should have appeared."""
UNMATCHED_STEPS = 500
"""So many steps after the warm-up some detection should have matched a true thing; a shorter run is judged at its end ..."""
TOO_SHORT_STEPS = 100
"""... unless it is as short as this."""


class Health(Hook):
    """Looks at batches, outputs and times."""

    def __init__(
        self,
        config: Config,
        classes: ClassTable,
        network: nn.Module,
        window: Sequence[Step],
        *,
        num_images: int,
        share: int,
        log: Sequence[Mapping[str, Any]],
    ) -> None:
        """window: the last steps, as they come. num_images: of the data set. share: images of a step that this process sees.

        log: the lines so far. The network's outputs are looked at until a detection matches; every later step costs nothing.
        """
        self.config = config
        self.classes = classes
        self.window = window
        known = {name for line in log for name in line.get("new_classes", ())}
        self.unseen = {index for index in range(len(classes)) if classes[index].name not in known}
        self.left_out = [line["step"] for line in log if "left_out" in line]
        self.share = share
        self.judged_classes_at = max(1, ceil(min(UNSEEN_IMAGES, 2 * num_images) / share))
        self.judged_matches_at = min(config.train.warmup_steps + UNMATCHED_STEPS, config.train.steps)
        panoptic = config.loss.panoptic or config.loss.panoptic_lovasz
        self.wants_match = bool(panoptic and classes.things) and not any("first_match" in line for line in log)
        self._handle: RemovableHandle | None = None
        if self.wants_match:
            self._handle = network.register_forward_hook(self._inspect, with_kwargs=True)
        self._reported: set[str] = set()
        self._new: list[str] = []
        self._matched = False

    def before_step(self, index: int, batch: Batch) -> None:
        """Note which classes the batch holds, until that was judged."""
        if self.unseen and index <= self.judged_classes_at:
            found = sorted(self.unseen & _class_indices(batch.targets))
            self.unseen -= set(found)
            self._new += [self.classes[position].name for position in found]

    def after_step(self, step: Step) -> None:
        step.fields |= self._news()
        warnings = self._warnings(step.index)
        if step.broken:
            self.left_out.append(step.index)
            warnings.append(f"Step {step.index} was left out: {', '.join(step.broken)} not finite.")
        for warning in warnings:
            warn("warning:", warning)
        if warnings:
            step.fields["warnings"] = warnings

    def at_end(self) -> None:
        if self.left_out:
            first = ", ".join(map(str, self.left_out[:5]))
            warn(f"left out {plural(len(self.left_out), 'step')},", f"first {first}: losses or gradients were not finite.")

    def close(self) -> None:
        if self._handle:
            self._handle.remove()

    def _inspect(self, module: nn.Module, inputs: tuple, options: dict, outputs: Outputs) -> None:
        targets: Sequence[Target] | None = inputs[2] if len(inputs) > 2 else options.get("targets")
        if targets is None or not module.training:
            return
        for found, admitted, target in zip(outputs.detections, outputs.admitted, targets, strict=True):
            chosen = found.take(admitted)
            if (match_detections(chosen.boxes.detach(), chosen.labels, target) >= 0).any():
                self._matched, self.wants_match = True, False
                self.close()
                return

    def _news(self) -> dict[str, object]:
        """What the step's line says: classes met for the first time, and the first match."""
        news: dict[str, object] = {}
        if self._new:
            news["new_classes"], self._new = self._new, []
        if self._matched:
            news["first_match"], self._matched = True, False
        return news

    def _warnings(self, step: int) -> list[str]:
        """Sentences that are due after this step, each once."""
        due = {"starved": self._starved(), "unmatched": self._unmatched(step), "unseen": self._unseen(step)}
        fresh = {kind: sentence for kind, sentence in due.items() if sentence and kind not in self._reported}
        self._reported |= set(fresh)
        return list(fresh.values())

    def _starved(self) -> str:
        waited, worked = sum(step.data_seconds for step in self.window), sum(step.seconds for step in self.window)
        if len(self.window) < WINDOW or waited <= STARVED_SHARE * (waited + worked):
            return ""
        return (
            f"The loader starves the training: {waited / (waited + worked):.0%} of the last {len(self.window)} steps went by "
            f"waiting for images; raise --train.workers (now {self.config.train.workers}) or make the images smaller."
        )

    def _unmatched(self, step: int) -> str:
        if not self.wants_match or step != self.judged_matches_at or step < TOO_SHORT_STEPS:
            return ""
        return (
            f"No detection has matched a true thing in {step} steps, so the panoptic head has learnt no thing channel; lower "
            f"--train.score-threshold (now {self.config.train.score_threshold:g}), or look at the boxes with unipan inspect."
        )

    def _unseen(self, step: int) -> str:
        if not self.unseen or step != self.judged_classes_at:
            return ""
        names = ", ".join(self.classes[index].name for index in sorted(self.unseen))
        return f"In the first {step * self.share} training images these classes never appeared: {names}."


def _class_indices(targets: Iterable[Target]) -> set[int]:
    counts = torch.zeros(VOID + 1, dtype=torch.int64)
    for target in targets:
        counts += torch.bincount(_flat(target.semantic), minlength=VOID + 1)
    return set(counts.nonzero().flatten().tolist()) - {VOID}


def _flat(classes: Tensor) -> Tensor:
    return classes.cpu().flatten().long()
