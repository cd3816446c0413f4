"""Where no terminal shows a bar, a training says now and then where it is."""

import pytest

from unipan.recipes import console as console_file
from unipan.recipes.console import counted, training_progress


def test_a_line_every_minute_and_at_the_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [1000.0]
    monkeypatch.setattr(console_file.time, "monotonic", lambda: now[0])
    with training_progress(10, 4) as tell:
        for step, seconds in ((5, 20.0), (6, 40.0), (7, 1.0), (8, 59.0), (9, 1.0), (10, 3.0)):
            now[0] += seconds
            tell(step, 2.5, 0.25)
    assert capsys.readouterr().err.splitlines() == [
        "step 6 of 10: loss 2.500, 0.25 images/s, 0:02:00 left",
        "step 8 of 10: loss 2.500, 0.25 images/s, 0:01:00 left",
        "step 10 of 10: loss 2.500, 0.25 images/s, 0:00:00 left",
    ]


def test_going_through_items_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(counted([3, 1, 2], "counting", 3)) == [3, 1, 2]
    assert capsys.readouterr().err == ""
