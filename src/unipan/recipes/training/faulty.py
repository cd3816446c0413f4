"""Faulty training images that are skipped: named when first met, noted in the log, counted at the end."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from unipan.console import warn
from unipan.engine.processes import Processes
from unipan.types import Batch


def reported(batches: Iterable[Batch], note: Callable[[Mapping[str, object]], None], *, first_step: int) -> Iterator[Batch]:
    """Pass on the batches of the steps from `first_step`; `note` gets a line of the log for each step that skipped a sample."""
    met: set[str] = set()
    times = 0
    for step, batch in enumerate(batches, start=first_step):
        if batch.skipped:
            new = [complaint for complaint in dict.fromkeys(batch.skipped) if complaint not in met]
            for complaint in new:
                warn("skipped:", complaint)
            met.update(new)
            times += len(batch.skipped)
            note({"step": step, "skipped": list(batch.skipped)})
        yield batch
    if met:
        images, often = ("image was", "it") if len(met) == 1 else ("images were", "they")
        warn(f"{len(met)} faulty {images} skipped;", f"in {times} places {often} would have come, the next one was taken.")


def with_all_complaints(batches: Iterable[Batch], processes: Processes) -> Iterator[Batch]:
    """Pass on the batches, each with what was skipped for its step in any process, so that one can report for all."""
    for batch in batches:
        if processes.count > 1 and processes.any_of(bool(batch.skipped)):
            batch = replace(batch, skipped=tuple(processes.gather_objects(list(batch.skipped))))
        yield batch
