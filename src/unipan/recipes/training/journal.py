"""A run's log.jsonl: what each step was like, one line each. Times and memory stand in fields of their own (`VARYING`)."""

import json
import resource
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from unipan.disk import replace_atomically
from unipan.engine.fit import Step
from unipan.errors import InputError
from unipan.types import Batch

VARYING = frozenset(
    {"seconds", "data_seconds", "step_seconds", "images_per_second", "remaining_seconds", "memory_mib", "warnings"}
)
"""Fields that two runs of the same settings don't share; all others are the same to the bit on a CPU."""

WINDOW = 50
"""Steps over which speed is averaged."""


class Times(NamedTuple):
    """Of one step, in seconds."""

    data: float  # waiting for the batch
    step: float  # from the batch's arrival to the new weights


class Stopwatch:
    """Tells waiting for data from work on it; what happens after a step (evaluation, saving) counts as neither."""

    def __init__(self, images: int) -> None:
        """images: of one step."""
        self.images = images
        self.started = time.perf_counter()
        self.window: deque[Times] = deque(maxlen=WINDOW)
        self._data = 0.0
        self._arrived = self.started

    def timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass on the batches, and note how long each was waited for."""
        iterator = iter(batches)
        while True:
            asked = time.perf_counter()
            batch = next(iterator, None)
            self._arrived = time.perf_counter()
            self._data = self._arrived - asked
            if batch is None:
                return
            yield batch

    def lap(self) -> Times:
        """The step that ends now."""
        times = Times(self._data, time.perf_counter() - self._arrived)
        self.window.append(times)
        return times

    @property
    def images_per_second(self) -> float:
        """Over the last steps."""
        return self.images * len(self.window) / max(sum(map(sum, self.window)), 1e-9)

    def fields(self, times: Times, steps_left: int) -> dict[str, float]:
        """A line's share of times and memory."""
        return {
            "data_seconds": round(times.data, 4),
            "step_seconds": round(times.step, 4),
            "images_per_second": round(self.images_per_second, 3),
            "remaining_seconds": round(steps_left * self.images / self.images_per_second, 1),
            "memory_mib": round(memory_mib(), 1),
            "seconds": round(time.perf_counter() - self.started, 3),
        }


def memory_mib() -> float:
    """The most memory held so far: the GPU's, where tensors were there, else the process's resident set."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


class Sink(Protocol):
    """Where a step's numbers go besides the log: a tracker."""

    def log(self, values: Mapping[str, float], step: int) -> None: ...


class Journal:
    """Writes the log and passes its numbers on to trackers."""

    def __init__(self, path: Path, sinks: Iterable[Sink] = (), *, writes: bool = True) -> None:
        """writes: the main process notes for all, so the others' journals write nothing."""
        self.path = path
        self.writes = writes
        self.sinks = tuple(sinks)

    def note(self, line: Mapping[str, object]) -> None:
        """Append a line; its "step" says where it belongs."""
        if not self.writes:
            return
        try:
            with self.path.open("a") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror or error}; the last checkpoint is untouched.") from error

    def step(self, step: Step, further: Mapping[str, object]) -> None:
        """The line of one step. further: times, scores, what the watch saw."""
        line = {"step": step.number, **step_numbers(step), **further}
        self.note(line)
        numbers = {name: value for name, value in line.items() if isinstance(value, (int, float)) and name != "step"}
        for sink in self.sinks:
            sink.log(numbers, step.number)


def step_numbers(step: Step) -> dict[str, Any]:
    """Losses, rate and gradient norm; null what is not finite, for JSON has no such numbers."""
    values = {name: _rounded(value, 6) for name, value in step.losses.items()}
    line = {**values, "learning_rate": step.learning_rate, "gradient_norm": _rounded(step.gradient_norm, 4)}
    return line | ({"left_out": list(step.broken)} if step.broken else {})


def _rounded(value: float, digits: int) -> float | None:
    return round(value, digits) if isfinite(value) else None


def read_log(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log, in order; [] where there is none. A last line that was cut short is left out."""
    try:
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the log {path}: {error}.") from error


def trim_log(path: Path, done: int) -> None:
    """Drop the lines of steps that will be done again, for the last checkpoint lies before them, and one that was cut short."""
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= done]
        replace_atomically(path, lambda temporary: temporary.write_text("".join(kept)))
