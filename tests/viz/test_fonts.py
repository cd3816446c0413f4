"""The fonts of texts in pictures: Pillow's own for all that it has, another where a name needs it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont, features

from unipan.viz import fonts
from unipan.viz.canvas import Plates
from unipan.viz.fonts import font_of, shortened

pytestmark = pytest.mark.skipif(not features.check("freetype2"), reason="this Pillow has no FreeType")


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fonts, "_WARNED", [])
    fonts._file_for.cache_clear()
    yield
    fonts._file_for.cache_clear()


def name_of(text: str) -> str | None:
    font = font_of(text, 20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font.getname()[0]


@pytest.mark.parametrize("text", ["road 0.93", "a ... \t\n", "1…2 · 3"])
def test_what_pillows_own_font_has_is_drawn_in_it(text: str, caplog: pytest.LogCaptureFixture) -> None:
    own = ImageFont.load_default(20)
    assert isinstance(own, ImageFont.FreeTypeFont)
    assert name_of(text) == own.getname()[0]
    assert caplog.text == ""


@pytest.mark.parametrize("text", ["Straße", "café", "кошка", "γάτα"])
def test_other_scripts_are_drawn_in_a_font_that_has_them(text: str, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("matplotlib")
    assert name_of(text) == "DejaVu Sans"
    assert caplog.text == ""
    letters = [character for character in text if not character.isascii()]
    plain, drawn = (Image.new("RGB", (200, 60)) for _ in range(2))
    for canvas, word in ((plain, fonts.NO_CHARACTER * len(text)), (drawn, text)):
        plates = Plates(canvas)
        plate = plates.fitted(word, 10, 10)
        plates.write(word, plate, color=(0, 0, 0), opacity=1.0)
        assert plate[2] - plate[0] == plates.size(word)[0]
    assert plain.tobytes() != drawn.tobytes()
    assert not fonts._lacking("".join(letters), fonts._file_for(text))


def test_what_no_font_has_is_told_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(fonts, "_installed", lambda: iter(()))
    canvas = Image.new("RGB", (80, 30))
    for text in ("a 日本", "кошка", "caf\udce9"):
        ImageDraw.Draw(canvas).text((0, 0), text, font=font_of(text, 12))
    assert caplog.text.count("drawings show boxes for what no font here has, such as '日本'") == 1
    assert len(caplog.records) == 1


def test_without_a_font_that_has_all_the_one_that_has_most_is_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    monkeypatch.setattr(fonts, "_installed", lambda: iter([str(file)]))
    assert name_of("кошка 日本") == "DejaVu Sans"
    assert name_of("日本") == ImageFont.load_default(20).getname()[0]  # type: ignore[union-attr]
    assert len(caplog.records) == 1


def test_a_font_that_is_not_there_is_passed_over() -> None:
    assert fonts._system_file("no such font.ttf") == ""


@pytest.mark.parametrize("room", [0, 3, 4, 9, 11, 12, 100])
def test_a_text_is_cut_to_what_has_room(room: int) -> None:
    measured: list[str] = []

    def width_of(text: str) -> float:
        measured.append(text)
        return len(text)

    text = " ".join(["long"] * 400)
    shown = shortened(f"\n{text} ", room, width_of)
    whole = [f"{text[:length].rstrip()}..." for length in range(1, len(text))]
    assert shown == max((one for one in whole if len(one) <= room), key=len, default="")
    assert len(measured) < 20, "a long name is not measured character by character"
    assert shortened("a\tb", 3, len) == "a b"
