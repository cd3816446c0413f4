"""Faulty training images that are skipped: named when first met, noted in the log, counted at the end."""

from collections.abc import Callable, Mapping

from unipan.console import warn
from unipan.engine.fit import Hook
from unipan.engine.processes import Processes
from unipan.errors import plural
from unipan.types import Batch


class SkippedImages(Hook):
    """Says of each step what was skipped for it in any process."""

    def __init__(self, note: Callable[[Mapping[str, object]], None], processes: Processes) -> None:
        """note: takes a line of the log for each step that skipped a sample."""
        self.note = note
        self.processes = processes
        self._met: set[str] = set()
        self._times = 0

    def before_step(self, index: int, batch: Batch) -> None:
        skipped = list(batch.skipped)
        if self.processes.any_of(bool(skipped)):
            skipped = self.processes.gather_objects(skipped)
        if not skipped:
            return
        new = [complaint for complaint in dict.fromkeys(skipped) if complaint not in self._met]
        for complaint in new:
            warn("skipped:", complaint)
        self._met.update(new)
        self._times += len(skipped)
        self.note({"step": index, "skipped": skipped})

    def at_end(self) -> None:
        if self._met:
            often = f"{plural(self._times, 'time')} the next one was taken instead."
            warn(f"skipped {plural(len(self._met), 'faulty image')}:", often)
