"""docs/reliability.md promises nothing without a test that is there."""

from pathlib import Path

from test_paper_page import REFERENCE, ROOT, missing

PAGE: Path = ROOT / "docs" / "reliability.md"


def test_every_test_that_the_page_names_exists() -> None:
    assert len(REFERENCE.findall(PAGE.read_text())) > 50
    assert missing(PAGE.read_text()) == []


def test_every_promise_names_its_test() -> None:
    table = PAGE.read_text().split("| promise | test |\n|---|---|\n")[1].split("\n\n")[0]
    rows = [row for row in table.splitlines() if not row.startswith("| **")]
    assert [row for row in rows if not REFERENCE.search(row)] == []
