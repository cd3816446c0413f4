"""A run's log.jsonl: what each step was like, one line each. Times and memory stand in fields of their own (`VARYING`)."""

import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from unipan.engine.fit import Hook, Step
from unipan.engine.trackers import Tracker
from unipan.errors import InputError
from unipan.files import replace_atomically
from unipan.ops.device import peak_memory_mib

VARYING = frozenset(
    {"seconds", "data_seconds", "step_seconds", "images_per_second", "remaining_seconds", "memory_mib", "warnings"}
)
"""Fields that two runs of the same settings don't share; all others are the same to the bit on a CPU."""

WINDOW = 50
"""Steps over which speed is averaged."""


class Stopwatch(Hook):
    """Speed and the time that remains; what hooks do after a step (evaluation, saving) counts as neither waiting nor work."""

    def __init__(self, images: int, steps: int) -> None:
        """images: of one step. steps: of the whole run."""
        self.images = images
        self.steps = steps
        self.started = time.perf_counter()
        self.window: deque[Step] = deque(maxlen=WINDOW)
        """The last steps."""

    @property
    def images_per_second(self) -> float:
        """Over the last steps."""
        return self.images * len(self.window) / max(sum(step.data_seconds + step.seconds for step in self.window), 1e-9)

    def after_step(self, step: Step) -> None:
        self.window.append(step)
        step.fields |= {
            "data_seconds": round(step.data_seconds, 4),
            "step_seconds": round(step.seconds, 4),
            "images_per_second": round(self.images_per_second, 3),
            "remaining_seconds": round((self.steps - step.index) * self.images / self.images_per_second, 1),
            "memory_mib": round(peak_memory_mib(), 1),
            "seconds": round(time.perf_counter() - self.started, 3),
        }


class Log(Hook):
    """Writes RUN/log.jsonl and passes its numbers on to trackers."""

    def __init__(self, path: Path, trackers: Sequence[Tracker] = (), *, writes: bool = True) -> None:
        """writes: the main process notes for all, so the others' logs write nothing."""
        self.path = path
        self.trackers = trackers
        self.writes = writes

    def note(self, line: Mapping[str, object]) -> None:
        """Append a line; its "step" says where it belongs."""
        if not self.writes:
            return
        try:
            with self.path.open("a") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror or error}; the last checkpoint is untouched.") from error

    def after_step(self, step: Step) -> None:
        own = {"step": step.index, **step_numbers(step)}
        if taken := (own.keys() | {"left_out"}) & step.fields.keys():
            raise InputError(f"a hook's field {min(taken)!r} is one that the log has itself; name it otherwise.")
        line = own | {name: _plain(name, value) for name, value in step.fields.items()}
        self.note(line)
        numbers = {name: value for name, value in line.items() if isinstance(value, (int, float)) and name != "step"}
        for tracker in self.trackers:
            tracker.log(numbers, step.index)

    def close(self) -> None:
        for tracker in self.trackers:
            tracker.close()


def step_numbers(step: Step) -> dict[str, Any]:
    """Losses, rate and gradient norm; null what is not finite, for JSON has no such numbers."""
    values = {name: _rounded(value, 6) for name, value in step.losses.items()}
    line = {**values, "learning_rate": step.learning_rate, "gradient_norm": _rounded(step.gradient_norm, 4)}
    return line | ({"left_out": list(step.broken)} if step.broken else {})


def _plain(name: str, value: Any) -> Any:
    """A field as JSON has it: NumPy's and PyTorch's numbers are plain ones, and null what is not finite. Raises: InputError."""
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    try:
        return json.loads(json.dumps(value), parse_constant=lambda _: None)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"a hook's field {name!r} is {value!r}, which no JSON holds ({error}); give numbers or texts."
        ) from error


def _rounded(value: float, digits: int) -> float | None:
    return round(value, digits) if isfinite(value) else None


def read_log(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log, in order; [] where there is none. A last line that was cut short is left out."""
    try:
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("\n")]
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read the log {path}: {error}.") from error
    strange = [number for number, line in enumerate(found, 1) if not isinstance(line, dict) or type(line.get("step")) is not int]
    if strange:
        raise InputError(f"{path} is no run's log: line {strange[0]} says of no step. Remove that line, or name another folder.")
    return found


def trim_log(path: Path, done: int) -> None:
    """Drop the lines of steps that will be done again, for the last checkpoint lies before them, and one that was cut short."""
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= done]
        replace_atomically(path, lambda temporary: temporary.write_text("".join(kept)))
