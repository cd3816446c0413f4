"""The report is one page that shows everything, loads nothing and trusts no text."""

import base64
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from unipan.errors import InputError
from unipan.viz.curves import loss_curves, reliability_curve
from unipan.viz.report import MAX_SIDE_PX, Example, Gallery, ReportTable, write_report

HOSTILE = '"><script>alert(1)</script> & $title {x}'
RECORDS = [
    {"step": step, "loss": 3 / step + 0.2, "loss/semantic": 1 / step, "loss/box_class": 2 / step, "rate": 0.01}
    for step in range(1, 40)
]


class Page(HTMLParser):
    """Tags with their attributes, and all text outside style and script."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._skipped = False
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._skipped = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._skipped = False

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.text += data


def image(red: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.new("RGB", size, (red, 80, 80))


def example(name: str, **changes) -> Example:
    affinity = [("of a car", image(240)), ("of a bus", image(250))]
    drawn = Example(name=name, image=image(0), truth=image(60), detections=image(120), answer=image(180), affinity=affinity)
    return replace(drawn, **changes)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    wide = ReportTable(
        "a wide table", ["class", *("a long head" for _ in range(20))], [["car", *("54.7" for _ in range(20))]] * 40
    )
    examples = [example("one.jpg"), example(f"two {HOSTILE}", summary=HOSTILE, affinity=[(HOSTILE, image(1))])]
    write_report(
        path,
        title=f"a run {HOSTILE}",
        source=HOSTILE,
        facts=[("PQ", "61.4"), (HOSTILE, HOSTILE)],
        tables=[ReportTable(HOSTILE, ["class", "PQ"], [["car", "54.7"], [HOSTILE, "1.0"]]), wide],
        errors=[ReportTable("errors", ["kind", "missed"], [[HOSTILE, "3"]])],
        reliability=reliability_curve([(0.55, 0.4, 10), (0.95, 1.0, 90)]),
        confusions=[(HOSTILE, image(90, (1500, 1200)))],
        curves=loss_curves(RECORDS),
        galleries=[Gallery("Worst", HOSTILE, examples[:1]), Gallery(HOSTILE, "the best", examples[1:])],
        notes=[HOSTILE],
    )
    return path


@pytest.fixture
def markup(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_nothing_is_loaded_from_anywhere(markup: str) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", re.sub(r"base64,[\w+/=]+", "", markup))
    for tag, attributes in Page(markup).tags:
        assert tag not in ("link", "iframe", "object", "base")
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("xlink:href") or "#").startswith("#")
        assert "href" not in attributes


def test_hostile_text_is_shown_as_text(markup: str) -> None:
    page = Page(markup)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count(HOSTILE) == 18
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_every_example_is_there_with_all_its_images(markup: str) -> None:
    images = [attributes for tag, attributes in Page(markup).tags if tag == "img" and attributes.get("src")]
    assert [str(image["alt"]).startswith("one.jpg") for image in images] == [False] + [True] * 6 + [False] * 5
    assert "54.7" in markup
    assert markup.count("<svg") == 4


def test_large_images_are_reduced_and_the_callers_are_left_alone(tmp_path: Path) -> None:
    large = image(10, (1600, 1000))
    examples = [example("a", image=large, affinity=[])]
    write_report(tmp_path / "r.html", title="t", source="", facts=[], tables=[], galleries=[Gallery("all", "", examples)])
    first = re.search(r"base64,([\w+/=]+)", (tmp_path / "r.html").read_text())
    assert first is not None
    assert max(Image.open(BytesIO(base64.b64decode(first[1]))).size) == MAX_SIDE_PX
    assert large.size == (1600, 1000)


def test_a_report_of_nothing_but_a_title_is_a_page(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", title="empty", source="", facts=[], tables=[])
    assert "<h1>empty</h1>" in (tmp_path / "r.html").read_text()


def test_curves_are_the_same_each_time_and_take_the_pages_color() -> None:
    drawn = loss_curves(RECORDS)
    assert drawn == loss_curves(RECORDS)
    assert [curve.meaning for curve in drawn] == ["total over steps", "box class over steps", "semantic over steps"]
    for curve, title in zip(drawn, ("total", "box class", "semantic"), strict=True):
        assert "currentColor" in curve.svg
        assert f">{title}</text>" in curve.svg


def test_curves_of_one_record_or_none() -> None:
    assert loss_curves([]) == []
    assert len(loss_curves([{"step": 1, "loss": 0.0}])) == 1


def test_an_example_with_an_explorer_page_leads_to_it(tmp_path: Path) -> None:
    examples = [example("a.jpg", explorer="explorer/a%20b.html"), example("b.jpg")]
    write_report(tmp_path / "r.html", title="t", source="", facts=[], tables=[], galleries=[Gallery("all", "", examples)])
    links = [attributes["href"] for tag, attributes in Page((tmp_path / "r.html").read_text()).tags if tag == "a"]
    assert links == ["explorer/a%20b.html"]


def test_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"unipan\[report\]"):
        loss_curves(RECORDS)
