"""The benchmark of parts counts each moment once: to the innermost part, in the backward pass to the part that it is of."""

from types import SimpleNamespace

import pytest
from bench_modules import BACKWARD, LOSSES, MARK, MODULES, REST, marked, profiled, times
from training_step import training_step


def event(name: str, milliseconds: float, around: SimpleNamespace | None = None, number: int = -1) -> SimpleNamespace:
    """As the profiler tells of one; number: what an operator shares with its backward pass."""
    made = SimpleNamespace(name=name, cpu_time_total=1000 * milliseconds, cpu_parent=around, cpu_children=[], sequence_nr=number)
    if around is not None:
        around.cpu_children.append(made)
    return made


def test_each_moment_counts_once() -> None:
    step = event(MARK + REST, 100)
    head = event(MARK + "head", 40, step)
    inner = event(MARK + "inner", 15, head)
    in_head, in_inner = event("aten::mm", 5, head, number=1), event("aten::mm", 4, inner, number=2)
    unmarked = event("aten::add", 3, step, number=3)
    backward = [event(BACKWARD + "Mm", 20, step), event(BACKWARD + "Mm", 8, step), event(BACKWARD + "Add", 2, step)]
    numbered = [event("MmBackward", 19, backward[0], 1), event("MmBackward", 7, backward[1], 2), event("Add", 1, backward[2], 3)]
    found = times([step, head, inner, in_head, in_inner, unmarked, *backward, *numbered])  # type: ignore[list-item]
    assert found == pytest.approx({REST: 100 - 40 - 20 - 8, "head": 40 - 15 + 20, "inner": 15 + 8})
    assert sum(found.values()) == pytest.approx(100)


def test_a_step_goes_through_every_part() -> None:
    with marked():
        parts = profiled(training_step("demo", 1, (64, 96), masks=True, shared_blocks=1))
    assert parts.keys() == {*MODULES.values(), LOSSES, REST}
