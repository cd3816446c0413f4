"""Help is wrapped to the terminal, and what is missing is named with its help."""

import sys
from io import StringIO

import pytest

from unipan.cli import main
from unipan.cli.menu import filled


def printed(
    monkeypatch: pytest.MonkeyPatch,
    *words: str,
    width: int = 80,
    encoding: str = "utf-8",
    status: int = 0,
    terminal: bool = False,
) -> str:
    """What a command prints that ends with that status, on both streams."""
    stream = type("Stream", (StringIO,), {"encoding": encoding, "isatty": lambda _: terminal})()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(SystemExit) as stop:
        main([*words])
    assert (stop.value.code or 0) == status
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("words", [["evaluate"], ["train", "demo"], ["train", "coco_r50"], ["tables", "a", "demo"], ["export"]])
def test_help_is_as_wide_as_the_terminal(words: list[str], width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, *words, "--help", width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert "\n\n\n" not in "\n".join(lines)


def test_paragraphs_and_marks_stand_apart() -> None:
    assert filled("One\nline.\n\n[paper] A\n  b.\n[ours] C.\n\nD.") == "One line.\n\n[paper] A b.\n[ours] C.\n\nD."


def test_texts_of_settings_are_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their lines in the source are of no concern."""
    shown = printed(monkeypatch, "train", "demo", "--help", width=100)
    assert " have most of the cells, through one 1x1 convolution (our choice)" in shown
    assert " (coco), or with leftImg8bit/ and gtFine/ (cityscapes), or with SPLIT.json and its tars," in shown


def test_sections_keep_their_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "The schedule and the training loop." in printed(monkeypatch, "train", "demo", "--help")


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("predict demo", "--out is missing: Folder for the results, or the address of one."),
        ("evaluate", "RUN is missing: Folder of a run, or OWNER/NAME on the Hugging Face Hub."),
        ("export demo", "--onnx is missing: File to write."),
        ("score X", "ANSWERS is missing: JSON of the answers to score, as predict writes it."),
        (
            "figure demo --out a.pdf",
            "one of methods, affinity is missing: methods: image, truth, every head's answer. affinity: image with boxes, truth, "
            "a marked pixel's affinity, answer.",
        ),
        (
            "interchange labelme",
            "PANOPTIC is missing: JSON in the COCO panoptic format. --out is missing: Folder for what is written.",
        ),
    ],
)
def test_what_is_missing_is_told_with_its_help(
    words: str, sentence: str, encoding: str, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    verb = words.split()[0]
    expected = f"unipan: {sentence} unipan {verb} --help tells all that it takes.\n"
    assert printed(monkeypatch, *words.split(), encoding=encoding, status=2, terminal=terminal) == expected


def test_refusals_and_help_are_told_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = printed(monkeypatch, "train", "demo", "--train.steps", "many", status=2, terminal=True)
    assert shown == "unipan: --train.steps takes a whole number, but many came.\n"
    shown = printed(monkeypatch, "runs", "--help", terminal=True)
    assert "List the runs below a folder" in shown
    assert "\x1b[" in shown


def test_a_choice_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = printed(monkeypatch, "interchange", "answers/panoptic.json", status=2)
    assert shown.startswith("unipan: FORM takes one of coco-instances, geojson, ")
    assert shown.endswith(", but answers/panoptic.json came.\n")


def test_help_is_a_word_too_and_without_words_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = printed(monkeypatch, status=2)
    assert printed(monkeypatch, "help") == bare == printed(monkeypatch, "--help")
    assert printed(monkeypatch, "help", "version") == bare == printed(monkeypatch, "help", "help")
    assert "--version" in bare
    assert printed(monkeypatch, "help", "tables") == printed(monkeypatch, "tables", "--help")


def test_version_is_a_word_too(capsys: pytest.CaptureFixture[str]) -> None:
    main(["version"])
    main(["--version"])
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


def test_tables_are_told_by_what_they_show(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "a  Table A: variants of the dynamic potential" in printed(monkeypatch, "tables", "--help")
