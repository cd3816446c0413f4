"""The font that a text is drawn in: Pillow's own where it has all characters, else one of this machine that has them."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from unipan.console import logger

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "segoeui.ttf"),  # Latin, Greek, Cyrillic and more
    *("NotoSansCJK-Regular.ttc", "DroidSansFallbackFull.ttf", "wqy-zenhei.ttc", "wqy-microhei.ttc"),
    *("Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc", "msgothic.ttc", "msyh.ttc", "malgun.ttf"),
)
"""File names, which Pillow looks for where the system keeps its fonts."""
PROBE_PX = 20
NO_CHARACTER = "\U0010ffff"
"""No font has it, so it is drawn as all that a font lacks."""
_WARNED: list[str] = []
"""The first characters that were met and no font here has."""


def font_of(text: str, size_px: int) -> Font:
    """The font for a text. What no font here has is said once."""
    return _font("" if text.isascii() else _file_for(text), size_px)


def shortened(text: str, room: float, width_of: Callable[[str], float]) -> str:
    """The text, on one line and cut off with an ellipsis where it would be too wide; empty where not even that has room."""
    text = " ".join(text.split())
    if width_of(text) <= room:
        return text
    fitting = bisect_right(range(1, len(text)), room, key=lambda length: width_of(f"{text[:length].rstrip()}..."))
    return f"{text[:fitting].rstrip()}..." if fitting else ""


@lru_cache(maxsize=256)
def _font(file: str, size_px: int) -> Font:
    return ImageFont.truetype(file, size_px) if file else ImageFont.load_default(size_px)


@lru_cache(maxsize=4096)
def _file_for(text: str) -> str:
    """The file of the first font that lacks the fewest characters; empty for Pillow's own."""
    best, fewest = "", _lacking(text, "")
    for file in _installed():
        if not fewest:
            break
        lacking = _lacking(text, file)
        if len(lacking) < len(fewest):
            best, fewest = file, lacking
    if fewest:
        _warn_once(fewest)
    return best


def _lacking(text: str, file: str) -> str:
    """The characters that a font draws as it draws all that it lacks."""
    font = _font(file, PROBE_PX)
    if isinstance(font, ImageFont.ImageFont):  # a Pillow without FreeType knows no other
        return ""
    box = _drawn(NO_CHARACTER, font)
    return "".join(char for char in dict.fromkeys(text) if not char.isspace() and _drawn(char, font) == box)


def _drawn(character: str, font: Font) -> bytes:
    image = Image.new("L", (2 * PROBE_PX, 2 * PROBE_PX))
    ImageDraw.Draw(image).text((0, 0), character, fill=255, font=font)
    return image.tobytes()


def _installed() -> Iterator[str]:
    """Font files of this machine, matplotlib's own first."""
    matplotlib = find_spec("matplotlib")  # which imports nothing
    if matplotlib and matplotlib.origin:
        bundled = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if bundled.is_file():
            yield str(bundled)
    yield from filter(None, map(_system_file, SYSTEM_FONTS))


@cache
def _system_file(name: str) -> str:
    try:
        return str(ImageFont.truetype(name, PROBE_PX).path)
    except OSError:
        return ""


def _warn_once(characters: str) -> None:
    if not _WARNED:
        _WARNED.append(characters)
        logger.warning(
            f"drawings show boxes for what no font here has, such as {characters!r}; install a font of that script, as Noto Sans "
            "CJK, or for Latin, Greek and Cyrillic the extra unipan[report]."
        )
