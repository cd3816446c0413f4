"""A score of several processes is that of one, and so are its faults."""

import sys
from pathlib import Path

import pytest
from panoptic_strips import write

from unipan.choices import Merge
from unipan.errors import InputError
from unipan.recipes import score as score_module
from unipan.recipes.score import score

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Thirteen pairs whose sums of IoU depend on the order of adding."""
    rows = ["ccccsss.", "dddlllll", "ccddssll", "sssssscc", "lldddddd", "cccccccs", "d.llllll"]
    shifted = [row[-1] + row[:-1] for row in rows]
    true_rows, predicted_rows = ({str(n): some[n % 7] for n in range(13)} for some in (rows, shifted))
    return write(tmp_path / "truth.json", true_rows), write(tmp_path / "predictions.json", predicted_rows)


@pytest.mark.parametrize("merge", ["none", "supercategory"])
@pytest.mark.parametrize("processes", [2, 3])
def test_the_score_is_the_same_to_the_bit(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, merge: Merge, processes: int
) -> None:
    expected = score(*files, merge=merge).to_json()
    monkeypatch.setattr(score_module, "worthwhile_processes", lambda *_: processes)
    assert score(*files, merge=merge).to_json() == expected


def test_the_first_fault_is_told_whoever_finds_it(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("5", "6"):
        (files[1].with_suffix("") / f"{name}.png").write_bytes(b"no PNG")
    monkeypatch.setattr(score_module, "worthwhile_processes", lambda *_: 2)
    with pytest.raises(InputError, match=r"cannot read the panoptic PNG .*5\.png"):
        score(*files)
