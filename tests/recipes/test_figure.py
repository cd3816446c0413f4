"""Figures show what was asked for, name what they are of, and are the same each time."""

import re
from itertools import zip_longest
from pathlib import Path

import pytest
from PIL import Image

from unipan.data.dataset import PanopticDataset
from unipan.errors import InputError
from unipan.metrics.pq import count, quality
from unipan.predictor import Predictor
from unipan.recipes.figure import figure, telling

pytest.importorskip("matplotlib")


def pq(predictor: Predictor, scenes: PanopticDataset, position: int, head) -> float:
    sample = scenes[position]
    answer = predictor(sample.image, head=head)
    return quality(count(answer, sample.truth, len(predictor.classes)), predictor.classes).all.pq


def test_rows_are_the_largest_gain_and_the_largest_loss_by_turns(predictor: Predictor, scenes: PanopticDataset) -> None:
    differences = {}
    for position in range(len(scenes)):
        own = pq(predictor, scenes, position, "unified")
        others = [own - pq(predictor, scenes, position, head) for head in ("upsnet", "heuristic")]
        differences[position] = max(others, key=abs)
    falling = sorted(differences, key=lambda one: -differences[one])
    won, lost = ([one for one in falling if sign * differences[one] >= 0.0005] for sign in (1, -1))
    in_order = [one for pair in zip_longest(won, reversed(lost)) for one in pair if one is not None]
    in_order += [one for one in falling if one not in in_order]
    chosen = telling(predictor, scenes, 4, 0)
    assert [one.position for one in chosen] == in_order
    for one in chosen:
        found = re.search(r"\(([+-]?\d+\.\d) PQ to ", one.why)  # without a sign where it is 0.0
        assert float(found[1]) == pytest.approx(100 * differences[one.position], abs=0.051)


def test_what_makes_no_difference_comes_last_and_is_no_loss(
    predictor: Predictor, scenes: PanopticDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [0.5004, 0.52, 0.4996, 0.53]
    position_of = {scenes[position].image_id: position for position in range(4)}
    monkeypatch.setattr(
        "unipan.recipes.figure._pq", lambda _, __, sample, head: own[position_of[sample.image_id]] if head == "unified" else 0.5
    )
    chosen = telling(predictor, scenes, 4, 0)
    assert [one.position for one in chosen] == [3, 1, 0, 2]
    assert [one.why.split()[0] for one in chosen] == ["(+3.0", "(+2.0", "(0.0", "(0.0"]


@pytest.mark.parametrize("kind", ["methods", "affinity"])
def test_an_svg_names_its_run_head_limits_images_and_colors(kind, learnt_run: Path, tmp_path: Path) -> None:
    sentence = figure(str(learnt_run), kind, tmp_path / "one.svg", ids=["2", "0"])
    assert sentence == f"{tmp_path / 'one.svg'}: 2, 0."
    svg = (tmp_path / "one.svg").read_text()
    columns = ("unified", "UPSNet's head", "heuristic merger") if kind == "methods" else ("image with boxes", "answer", "likely")
    for text in (f"Run {learnt_run.name}", "from a score of 0 on", "stuff under 400 px trimmed", "sky", "(void)", *columns):
        assert text in svg.replace("&apos;", "'")
    assert svg.count("<image") == 2 * (5 if kind == "methods" else 4) + (kind == "affinity")
    figure(str(learnt_run), kind, tmp_path / "two.svg", ids=["2", "0"])
    assert (tmp_path / "two.svg").read_bytes() == (tmp_path / "one.svg").read_bytes()


def test_a_pdf_and_a_png_are_what_they_say(learnt_run: Path, tmp_path: Path) -> None:
    for suffix in ("pdf", "png"):
        figure(str(learnt_run), "methods", tmp_path / f"one.{suffix}", rows=1, samples=2)
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")
    assert Image.open(tmp_path / "one.png").width > 2000


def test_what_cannot_be_drawn_is_said(learnt_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one\.jpg is not the name of a figure; end it in \.pdf, \.svg, \.png"):
        figure(str(learnt_run), "methods", tmp_path / "one.jpg")
    (tmp_path / "a.pdf").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*a\.pdf: it is a folder"):
        figure("no run is read", "methods", tmp_path / "a.pdf")
    with pytest.raises(InputError, match="have no id 77, x; the first of their ids is 0"):
        figure(str(learnt_run), "methods", tmp_path / "one.pdf", ids=["77", "x", "1"])
    with pytest.raises(InputError, match="--rows is 9; it must be from 1 to 4"):
        figure(str(learnt_run), "methods", tmp_path / "one.pdf", rows=9)
    with pytest.raises(InputError, match="--samples is -1"):
        figure(str(learnt_run), "methods", tmp_path / "one.pdf", samples=-1)
