"""Text in whichever encoding a JSON comes."""

import gzip
import json
from pathlib import Path

import pytest

from unipan.data.coco_json import PanopticJson, read_json_as
from unipan.errors import InputError
from unipan.tools.doctor.entries import read_listed

TEXT = json.dumps(
    {"images": [], "annotations": [], "categories": [{"id": 1, "name": "k\u00e4tzchen", "isthing": 1}]}, ensure_ascii=False
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_in_each_encoding_is_one(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(TEXT.encode(encoding))
    assert read_json_as(PanopticJson, path).categories[0]["name"] == "k\u00e4tzchen"
    assert read_listed(path).categories[1].name == "k\u00e4tzchen"
    for order in ("utf-16-be", "utf-32-be"):
        path.write_bytes(("\ufeff" + TEXT).encode(order))
        assert read_listed(path).categories[1].name == "k\u00e4tzchen"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (TEXT.encode("latin-1"), "is not UTF-8"),
        (TEXT.encode("utf-16")[:-1], "begins as UTF-16 does, but is not UTF-16"),
        (TEXT.encode("utf-32")[:-1], "begins as UTF-32 does, but is not UTF-32"),
    ],
)
def test_another_encoding_is_named_as_that(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    message = rf"^.*a\.json {what}, first at byte \d+; save it as UTF-8\.$"
    with pytest.raises(InputError, match=message):
        read_json_as(PanopticJson, path)
    with pytest.raises(InputError, match=message):
        read_listed(path)


def test_a_compressed_file_is_named_as_that(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(gzip.compress(TEXT.encode()))
    with pytest.raises(InputError, match=r"a\.json is compressed \(gzip\), and is read only as text; unpack it"):
        read_json_as(PanopticJson, path)


def test_a_list_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """As of two files joined by hand: parsers would lose the first in silence. Deeper down a word may be any number of times."""
    path = tmp_path / "a.json"
    path.write_text(TEXT[:-1] + ', "annotations": [], "info": {"images": "annotations", "annotations": {"images": 1}}}')
    for read in (lambda: read_json_as(PanopticJson, path), lambda: read_listed(path)):
        with pytest.raises(InputError, match=r"a\.json has annotations twice, and only one would be read; put all entries"):
            read()
    path.write_text(TEXT[:-1] + ', "info": {"images": "annotations", "annotations": {"images": 1}}}')
    assert read_json_as(PanopticJson, path).images == read_listed(path).labelled == []
    path.write_text('[{"images": 1}, {"images": 2}]')
    with pytest.raises(InputError, match="is not a JSON file in the COCO panoptic format"):
        read_json_as(PanopticJson, path)
