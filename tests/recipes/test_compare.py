"""Every way to the answer of one checkpoint: compared, evaluated and predicted with, on runs trained for each of them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from unipan.choices import PanopticHead
from unipan.config import Config
from unipan.errors import InputError
from unipan.overrides import Overrides
from unipan.predictor import load
from unipan.recipes.compare import compare
from unipan.recipes.demo import demo
from unipan.recipes.evaluate import evaluate
from unipan.recipes.predict import predict
from unipan.types import Detections

HEADS: tuple[PanopticHead, ...] = ("unified", "upsnet", "heuristic")


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name in ("a", "b"):
        Image.effect_noise((80, 48), 90).convert("RGB").save(folder / f"{name}.png")
    return folder


@pytest.fixture
def copied_run(learnt_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(learnt_run, tmp_path / "run"))


def trained_for(config: Config, head: PanopticHead) -> Config:
    """The same settings for another panoptic head, with masks."""
    model = replace(config.model, panoptic=head, masks=True, variant="B", void_channel=head == "upsnet")
    loss = replace(config.loss, panoptic=0.0 if head == "heuristic" else 1.0)
    return replace(config, model=model, loss=loss, train=replace(config.train, steps=3, warmup_steps=1, decay_steps=()))


def test_with_truth_the_scores_are_those_of_evaluate(copied_run: Path, tmp_path: Path) -> None:
    comparison = compare(str(copied_run), [], tmp_path / "out", samples=4)
    assert list(comparison.reports) == list(HEADS)
    for head in HEADS:
        evaluation = evaluate(str(copied_run), head=head)
        assert comparison.reports[head].quality == evaluation.answer.quality
        assert (evaluation.propagation is None) == (head != "unified")
    assert len({report.quality.all.pq for report in comparison.reports.values()}) > 1
    assert json.loads((tmp_path / "out/comparison.json").read_text()) == comparison.to_json()
    assert [path.name for path in comparison.drawings] == sorted(p.name for p in (tmp_path / "out").glob("*_compare.png"))
    with Image.open(comparison.drawings[0]) as image:
        assert image.width > 5 * 64  # image, truth and three answers
    assert any("X_mask is 0" in note for note in comparison.notes)
    assert any("its class in its box" in note for note in comparison.notes)


def test_untrimmed_scores_are_those_of_evaluate_untrimmed(copied_run: Path, tmp_path: Path) -> None:
    trimmed, whole = (
        compare(str(copied_run), [], tmp_path / str(limit), samples=4, overrides=Overrides(min_stuff_area_px=limit))
        for limit in (400, 0)
    )
    assert any("trimmed alike (stuff under" in note for note in trimmed.notes)
    assert any("trimmed alike (not at all)" in note for note in whole.notes)
    for head in HEADS:
        assert (
            whole.reports[head].quality
            == evaluate(str(copied_run), head=head, overrides=Overrides(min_stuff_area_px=0)).answer.quality
        )


def test_another_decoder_leaves_the_runs_own_metrics_alone(copied_run: Path) -> None:
    own = evaluate(str(copied_run))
    other = evaluate(str(copied_run), head="heuristic")
    assert json.loads((copied_run / "metrics.json").read_text()) == own.to_json()
    assert json.loads((copied_run / "metrics_heuristic.json").read_text()) == other.to_json()
    assert "without_propagation" not in other.to_json()
    assert any("no masks here" in sentence for sentence in other.sentences())


def test_images_without_truth(learnt_run: Path, image_folder: Path, tmp_path: Path) -> None:
    comparison = compare(str(learnt_run), [image_folder], tmp_path)
    assert [path.name for path in comparison.drawings] == ["a_compare.png", "b_compare.png"]
    assert comparison.reports == {}
    assert not (tmp_path / "comparison.json").exists()
    predictor = load(learnt_run)
    for head in HEADS:
        answers = [predictor(image_folder / name, head=head) for name in ("a.png", "b.png")]
        content = comparison.contents[head]
        assert content.pixels == 2 * 80 * 48
        assert content.things == sum(segment.is_thing for answer in answers for segment in answer.segments)
        assert content.things + content.stuff == sum(len(answer.segments) for answer in answers)
        assert content.void == sum(int((answer.ids == 0).sum()) for answer in answers)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        ([], {}, "name images, or give --samples"),
        (["a.png"], {"samples": 2}, "name images, or give --samples"),
        ([], {"samples": 5}, "the run has 4 held-out images"),
        (["a.png"], {"root": "elsewhere"}, "only --samples reads one"),
        (["a.png", "a.jpg"], {}, r"/a\.png and .*/a\.jpg would both become a_compare\.png"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    images: list[str], options: dict, message: str, learnt_run: Path, image_folder: Path, tmp_path: Path
) -> None:
    for name in images:
        shutil.copy(image_folder / "a.png", tmp_path / name)
    with pytest.raises(InputError, match=message):
        compare(str(learnt_run), [tmp_path / name for name in images], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_name_that_no_drawing_can_bear_costs_nothing_else(
    learnt_run: Path, image_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["b.png", "n" * 238 + ".png", "n" * 239 + ".png"]
    files = [Path(shutil.copy(image_folder / "b.png", tmp_path / name)) for name in names]
    found = compare(str(learnt_run), files, tmp_path / "out")
    assert (len(found.drawings), found.unreadable) == (2, files[2:])
    assert "its name, without its suffix, is longer than 238 bytes; rename the file" in caplog.text


def test_where_no_image_can_be_read_that_is_all_that_is_told(learnt_run: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").touch()
    with pytest.raises(InputError, match=r"1 image could not be read; left out: .*bad\.jpg"):
        compare(str(learnt_run), [tmp_path / "bad.jpg"], tmp_path / "out")


@pytest.mark.parametrize("head", ["upsnet", "heuristic"])
def test_a_run_trained_for_a_baseline(head: PanopticHead, tiny_config: Config, image_folder: Path, tmp_path: Path) -> None:
    """From training to the report; it answers by its own head, has the other, and no unified one."""
    run = tmp_path / "run"
    evaluation = demo(trained_for(tiny_config, head), run)
    terms = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert ("loss/panoptic" in terms) == (head == "upsnet")
    assert evaluation.head == head
    assert not evaluation.mask_free
    assert "no masks" not in " ".join(evaluation.sentences())
    assert (run / "report.html").exists()
    assert (run / "examples.jpg").exists()
    comparison = compare(str(run), [image_folder], tmp_path / "out")
    assert set(comparison.contents) == {"upsnet", "heuristic"}
    assert any("no unified answer" in note for note in comparison.notes)
    with pytest.raises(InputError, match=r"head unified needs an affinity head.*choose upsnet or heuristic"):
        load(run, head="unified")


@pytest.mark.parametrize("head", HEADS)
def test_predicting_by_a_head(head: PanopticHead, learnt_run: Path, image_folder: Path, tmp_path: Path) -> None:
    predicted = predict(str(learnt_run), [image_folder / "a.png"], tmp_path, head=head)
    expected = load(learnt_run, head=head)(image_folder / "a.png")
    assert predicted.last
    assert torch.equal(predicted.last[1].ids, expected.ids)
    assert load(learnt_run, head=head).head == head


@pytest.mark.parametrize("head", HEADS)
def test_all_are_trimmed_alike_at_the_images_size(head: PanopticHead, learnt_run: Path, image_folder: Path) -> None:
    overrides = Overrides(short_side=64, min_stuff_area_px=400)  # the network sees 64 x 107 of 48 x 80
    predictor = load(learnt_run, head=head, overrides=overrides)
    inference = predictor.infer(image_folder / "b.png")
    assert (inference.size, inference.network_size) == ((48, 80), (64, 107))
    whole, trimmed = (predictor.answer(inference, trim=trim) for trim in (False, True))
    assert whole.ids.shape == (48, 80)
    assert {s.id for s in trimmed.segments} == {s.id for s in whole.segments if s.is_thing or s.area >= 400}


@pytest.mark.parametrize("head", ["upsnet", "heuristic"])
def test_boxes_are_brought_to_the_images_size(head: PanopticHead, learnt_run: Path) -> None:
    """The network saw the image at half its size: a box of its pixels is twice as large in the answer."""
    predictor = load(learnt_run, head=head, overrides=Overrides(long_side=64))
    thing = predictor.classes.things[0]
    inference = predictor.infer(torch.zeros(3, 128, 96, dtype=torch.uint8))
    semantic = torch.zeros_like(inference.outputs.semantic[0])
    semantic[thing] = 1.0
    found = Detections(torch.tensor([[8.0, 16, 24, 40]]), torch.tensor([0.9]), torch.tensor([thing]), None)
    outputs = inference.outputs._replace(semantic=[semantic], detections=[found])
    answer = predictor.answer(inference._replace(outputs=outputs))
    assert [(s.class_index, s.box, s.area) for s in answer.segments] == [(thing, (16, 32, 48, 80), 32 * 48)]
