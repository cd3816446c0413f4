"""Names are shown as they are, and where no terminal shows a bar, a training says now and then where it is."""

from io import StringIO

import pytest
import rich
from rich.console import Console

from unipan import console as console_file
from unipan.console import Table, counted, logger, results, shown_on_terminal, training_progress, warn


def test_a_line_every_minute_and_at_the_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [1000.0]
    monkeypatch.setattr(console_file.time, "monotonic", lambda: now[0])
    with shown_on_terminal(), training_progress(10, 4) as tell:
        for step, seconds in ((5, 20.0), (6, 40.0), (7, 1.0), (8, 59.0), (9, 1.0), (10, 3.0)):
            now[0] += seconds
            tell(step, 2.5, 0.25)
    assert capsys.readouterr().err.splitlines() == [
        "step 6 of 10: loss 2.500, 0.25 images/s, 0:02:00 left",
        "step 8 of 10: loss 2.500, 0.25 images/s, 0:01:00 left",
        "step 10 of 10: loss 2.500, 0.25 images/s, 0:00:00 left",
    ]


def test_going_through_items_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_on_terminal():
        assert list(counted([3, 1, 2], "counting", 3)) == [3, 1, 2]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["lane [left]", "car [/moving]", "[bold]sky[/]", "[/]", "a\\[b]", ":cat:", "data[v2]/x"])
def test_names_are_shown_as_they_are(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    table = Table(f"title {name}")
    table.add_column(f"head {name}")
    table.add_row(f"a wide cell {name}")
    results.print(table, f"result {name}", soft_wrap=True)
    rich.print(table)  # a caller's own console reads markup, but of texts alone
    with shown_on_terminal():
        warn(f"opening {name}:", f"rest {name}")
        logger.info(f"100 % {name}")
    printed = capsys.readouterr()
    assert [printed.out.count(f"{part} {name}") for part in ("title", "head", "cell", "result")] == [2, 2, 2, 1]
    assert printed.err == f"opening {name}: rest {name}\n100 % {name}\n"


def test_a_bar_shows_its_description_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Console(file=StringIO(), force_terminal=True, width=120, markup=False)
    monkeypatch.setattr(console_file, "console", shown)
    assert list(counted([1, 2], "reading", 2)) == [1, 2]
    assert shown.file.getvalue() == ""  # type: ignore[attr-defined] (a library draws no bars)
    with shown_on_terminal():
        assert list(counted([1, 2], "reading car [/moving]", 2)) == [1, 2]
    assert "reading car [/moving]" in shown.file.getvalue()  # type: ignore[attr-defined]


def test_no_number_is_shown_before_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Console(file=StringIO(), force_terminal=True, width=120, markup=False)
    monkeypatch.setattr(console_file, "console", shown)
    file: StringIO = shown.file  # type: ignore[assignment]
    with shown_on_terminal(), training_progress(10, 0) as tell:
        assert "images/s" not in file.getvalue()
        tell(1, 2.5, 0.25)
    assert "nan" not in file.getvalue()
    assert "0.25 images/s, loss 2.500" in file.getvalue()


def test_a_library_s_user_catches_messages_or_hears_nothing(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table("kept", show_header=False)
    table.add_row("cell [/x]", "2")
    logger.info("not heard at the level that loggers have")
    with caplog.at_level("INFO", logger="unipan"):
        logger.info(table)
        warn("settings:", "rest")
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("unipan", "INFO", "kept\ncell [/x]  2"),
        ("unipan", "WARNING", "settings: rest"),
    ]
    with shown_on_terminal():
        pass
    assert not logger.handlers
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
