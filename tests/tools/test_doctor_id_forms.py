"""The ids of a PNG are looked at again only where another form could hold those of the JSON."""

from pathlib import Path

import pytest
import torch
from doctor_cases import CAT, SEA, drawn, save_ids

from unipan.data.id_maps import swapped_ids
from unipan.tools.doctor import id_forms
from unipan.tools.doctor.entries import LabelledImage
from unipan.tools.doctor.id_forms import read_ids
from unipan.tools.doctor.segments import ListedSegment


@pytest.mark.parametrize("listed", [(SEA,), (SEA, CAT, 4711), (4711,)])
def test_other_ids_in_colors_are_decoded_once(listed: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_forms, "_readings", lambda file: pytest.fail(f"{file} is decoded again"))
    save_ids(tmp_path / "1.png", drawn())
    ids, fault = read_ids(_image(listed), tmp_path)
    assert fault is None
    assert ids is not None
    assert torch.equal(ids, torch.from_numpy(drawn()).int())


def test_ids_with_blue_first_are_read_where_some_are_the_same(tmp_path: Path) -> None:
    """65537 has as much red as blue; 3 has red alone."""
    same = 65536 + 1
    ids = drawn() * 0 + same
    ids[0] = CAT
    save_ids(tmp_path / "1.png", swapped_ids(ids))
    found, fault = read_ids(_image((same, CAT)), tmp_path)
    assert fault is not None
    assert found is not None
    assert torch.equal(found, torch.from_numpy(ids).int())


def _image(ids: tuple[int, ...]) -> LabelledImage:
    return LabelledImage(1, "1.jpg", "1.png", tuple(ListedSegment(id, 0, False, None, None) for id in ids), None)
