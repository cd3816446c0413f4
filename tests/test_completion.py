"""What a shell offers while a line is typed: words and options that the command would take, and no others."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unipan.cli import main
from unipan.cli.app import MENU
from unipan.cli.completion import completions
from unipan.cli.menu import Menu
from unipan.cli.parse import options_of


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("unipan tra", ["train"]),
        ("unipan train de", ["demo"]),
        ("unipan train demo --train.st", ["--train.steps"]),
        ("unipan train --config mine.yaml --model.va", ["--model.variant"]),
        ("unipan train --conf", ["--config"]),
        ("unipan tables a cityscapes_r50_", ["cityscapes_r50_boxes", "cityscapes_r50_fast"]),
        ("unipan  score a.json --mer", ["--merge", "--merge-parts"]),
        ("unipan score --train.st", []),
        ("unipan predict run ima", []),  # a file: the shell's own task
        ("unipan nope ", []),
    ],
)
def test_what_is_offered(
    line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", f"{line} behind the cursor")
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    main(["--complete", "unipan", "word", "word before"])
    assert capsys.readouterr().out.split() == expected


def test_menus_offer_all_their_entries() -> None:
    assert completions(MENU, [], "")[:-1] == [*MENU.entries]
    train = MENU.entries["train"]
    assert isinstance(train, Menu)
    assert completions(MENU, ["train"], "")[:-2] == [*train.entries]


def test_options_are_the_parser_s(capsys: pytest.CaptureFixture[str]) -> None:
    score = MENU.entries["score"]
    assert not isinstance(score, Menu)
    words = "--help --json --merge --merge-parts --no-json --out --part --predictions-dir --truth-dir"
    assert options_of(score) == words.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash_takes_it(tmp_path: Path) -> None:
    """Its own completion finds the word, by the line that the page tells to write."""
    (tmp_path / "unipan").write_text(f'#!/bin/sh\nexec {sys.executable} -m unipan "$@"\n')
    (tmp_path / "unipan").chmod(0o755)
    page = (Path(__file__).parents[1] / "docs/command-line.md").read_text()
    [line] = [line for line in page.splitlines() if line.startswith("complete ")]
    asks = line.partition("'")[2].partition("'")[0]
    words = "unipan train finetune_"
    script = f"PATH={tmp_path}:$PATH; {line.partition(' #')[0]}; complete -p unipan; COMP_LINE='{words}' COMP_POINT=22 {asks}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"complete -o default -C '{asks}' unipan", "finetune_small"]
