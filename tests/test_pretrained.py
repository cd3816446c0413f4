"""What is given away is loaded again, byte for byte: from a folder, and from the Hub's cache without a connection."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from cli_files import untrained_run

import unipan
from unipan import hub
from unipan.errors import InputError
from unipan.model_card import PURPOSE

COMMIT = "0" * 40
SCORES = {"pq": 0.5, "sq": 0.75, "rq": None}
METRICS = {
    "answer": {
        "title": "val2017, stuff under 64 px trimmed",
        "num_images": 20,
        "quality": dict.fromkeys(("all", "things", "stuff"), SCORES),
    }
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = untrained_run(tmp_path_factory.mktemp("given") / "run")
    (path / "metrics.json").write_text(json.dumps(METRICS))
    return path


def cache(folder: Path, name: str, files: Path) -> None:
    """A snapshot of a repository as the Hub's client keeps it."""
    place = folder / f"models--{name.replace('/', '--')}"
    shutil.copytree(files, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)


def same_files(one: Path, other: Path) -> bool:
    names = ("config.json", "classes.json", "model.safetensors")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_a_saved_folder_holds_the_bytes_of_the_run_and_answers_alike(run: Path, tmp_path: Path) -> None:
    predictor = unipan.load(run, device="cpu")
    predictor.save_pretrained(tmp_path / "given", license="cc-by-4.0")
    assert same_files(run, tmp_path / "given")
    assert json.loads((tmp_path / "given" / "metrics.json").read_text()) == METRICS
    image = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    again = unipan.Predictor.from_pretrained(tmp_path / "given", device="cpu")
    assert torch.equal(again(image).ids, predictor(image).ids)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("README.md", "my own\n", "holds README.md, which save_pretrained did not write"),
        ("config.json", '{"my": 1}', "holds config.json, which save_pretrained did not write"),
        ("metrics.json", "{}", "holds metrics.json, which save_pretrained did not write"),
        ("log.jsonl", "", "is a training's run, with log.jsonl; name another folder"),
        ("checkpoints/step-00000001.safetensors", "", "is a training's run, with checkpoints; name another folder"),
    ],
)
def test_what_it_did_not_write_is_never_replaced(name: str, text: str, message: str, run: Path, tmp_path: Path) -> None:
    predictor = unipan.load(run, device="cpu")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        predictor.save_pretrained(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_text() == text
    before = (run / "config.json").read_bytes()
    with pytest.raises(InputError, match=r"holds config\.json and classes\.json and model\.safetensors and metrics\.json, which"):
        unipan.load(run, device="cpu", overrides=unipan.Overrides(threshold=0.9)).save_pretrained(run)
    assert (run / "config.json").read_bytes() == before


def test_its_own_folder_is_written_anew_and_keeps_no_scores_of_another(run: Path, tmp_path: Path) -> None:
    predictor = unipan.load(run, device="cpu")
    predictor.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()  # as a full disk leaves it
    predictor.save_pretrained(tmp_path)
    assert same_files(run, tmp_path)
    assert (tmp_path / "metrics.json").exists()
    unipan.load(run, device="cpu", overrides=unipan.Overrides(threshold=0.9)).save_pretrained(tmp_path)
    assert not (tmp_path / "metrics.json").exists()
    assert unipan.load(tmp_path, device="cpu").config.inference.score_threshold == 0.9


def test_an_edited_card_is_kept_and_no_evaluation_of_another_network_stays(run: Path, tmp_path: Path) -> None:
    predictor = unipan.load(run, device="cpu")
    predictor.save_pretrained(tmp_path)
    card = tmp_path / "README.md"
    written = card.read_text()
    for edited in (written + "\n## My notes\n", written.replace("license: other", "license: mit")):
        card.write_text(edited)
        with pytest.raises(InputError, match=r"README\.md would be replaced, .* move your notes, or name another folder"):
            predictor.save_pretrained(tmp_path)
        assert card.read_text() == edited
    card.write_text(written)
    for name in ("metrics_heuristic.json", "report.html", "report_heuristic.html"):
        (tmp_path / name).write_text("of before")
        with pytest.raises(InputError, match=f"holds {name}, of the network that is there now; remove them"):
            predictor.save_pretrained(tmp_path)
        (tmp_path / name).unlink()
    predictor.save_pretrained(tmp_path)


def test_the_card_tells_what_it_is_and_names_no_folder_of_this_machine(run: Path, tmp_path: Path) -> None:
    unipan.load(run, device="cpu").save_pretrained(tmp_path / "given", license="cc-by-4.0")
    card = huggingface_hub.ModelCard.load(tmp_path / "given" / "README.md", ignore_metadata_errors=False)
    assert {"license": "cc-by-4.0", "pipeline_tag": "image-segmentation"}.items() <= card.data.to_dict().items()
    scores = ("On 20 held-out images (val2017, stuff under 64 px trimmed), by `unipan evaluate RUN`", "| all | 50.0 | 75.0 | - |")
    for text in ("Things: cat.", "Stuff: sky.", *scores, "steps of", PURPOSE):
        assert text in card.text
    assert str(tmp_path) not in card.text
    assert 'unipan.load("OWNER/NAME")' in card.text
    assert "OWNER/NAME is the repository that these files were uploaded to" in card.text
    (run / "metrics.json").rename(run / "metrics.kept")
    unipan.load(run, device="cpu").save_pretrained(tmp_path / "unmeasured", name="someone/scenes")
    (run / "metrics.kept").rename(run / "metrics.json")
    unmeasured = (tmp_path / "unmeasured" / "README.md").read_text()
    assert "Not measured." in unmeasured
    assert 'unipan.load("someone/scenes")' in unmeasured


def test_other_limits_than_the_run_s_bring_no_scores_of_it(run: Path) -> None:
    assert unipan.load(run, device="cpu").metrics == METRICS
    assert unipan.load(run, device="cpu", overrides=unipan.Overrides(threshold=0.9)).metrics is None


@pytest.mark.parametrize("name", ["someone/scenes", "hf:someone/scenes"])
def test_a_name_is_loaded_from_the_cache_without_a_connection(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    unipan.load(run, device="cpu").save_pretrained(tmp_path / "given")
    cache(tmp_path / "cache", "someone/scenes", tmp_path / "given")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    fetched = unipan.load(name, device="cpu")
    fetched.save_pretrained(tmp_path / "again")
    assert same_files(run, tmp_path / "again")
    assert fetched.metrics == METRICS


def test_a_folder_is_no_name_and_a_typing_error_asks_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    with pytest.raises(InputError, match=r"runs/demoo is no run: it has no config\.json"):
        unipan.load("runs/demoo")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"no folder rums/demo here, and cannot fetch rums/demo .*: it cannot be reached"):
        unipan.load("rums/demo")


def test_an_upload_is_what_a_folder_holds_and_comes_back(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub's side is a stand-in that keeps what it gets."""
    made = []

    class Api:
        def create_repo(self, name: str, **options: Any) -> str:
            made.append((name, options))
            return f"https://hub/{name}"

        def file_exists(self, name: str, file: str) -> bool:
            return False

        def upload_folder(self, *, repo_id: str, folder_path: str, **_: Any) -> None:
            cache(tmp_path / "cache", repo_id, Path(folder_path))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr("unipan.pretrained.hub", lambda: nullcontext(True))
    assert unipan.load(run, device="cpu").push_to_hub("someone/scenes", private=True) == "https://hub/someone/scenes"
    assert made == [("someone/scenes", {"private": True, "exist_ok": True})]
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    unipan.load("someone/scenes", device="cpu").save_pretrained(tmp_path / "again")
    assert same_files(run, tmp_path / "again")
    card = next((tmp_path / "cache").rglob("README.md")).read_text()
    assert 'unipan.load("someone/scenes")' in card
    assert "OWNER/NAME" not in card


@pytest.mark.parametrize("edited", [False, True])
def test_an_upload_keeps_an_edited_card_and_no_scores_of_before(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, edited: bool
) -> None:
    """The Hub's side is a stand-in that notes what it is asked for."""
    unipan.load(run, device="cpu").save_pretrained(tmp_path / "there")
    card, asked = tmp_path / "there" / "README.md", {}
    card.write_text(card.read_text() + "Ask me before you use it.\n" * edited)

    class Api:
        def create_repo(self, name: str, **_: Any) -> str:
            return name

        def file_exists(self, name: str, file: str) -> bool:
            return (name, file) == ("someone/scenes", "README.md")

        def hf_hub_download(self, name: str, file: str) -> str:
            return str(tmp_path / "there" / file)

        def upload_folder(self, **options: Any) -> None:
            asked.update(options)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr("unipan.pretrained.hub", lambda: nullcontext(True))
    unipan.load(run, device="cpu").push_to_hub("someone/scenes")
    assert asked["ignore_patterns"] == (["README.md"] if edited else None)
    assert asked["delete_patterns"] == ["metrics.json"]  # of files that are not uploaded
    assert ("README.md stays: that of someone/scenes was edited" in caplog.text) == edited


@pytest.mark.parametrize(("reached", "message"), [(True, "refused Log in with"), (False, "the Hugging Face Hub cannot be")])
def test_an_upload_that_fails_says_why(run: Path, monkeypatch: pytest.MonkeyPatch, reached: bool, message: str) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("refused")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    monkeypatch.setattr("unipan.pretrained.hub", lambda: nullcontext(reached))
    with pytest.raises(InputError, match=f"cannot upload to someone/scenes: {message}"):
        unipan.load(run, device="cpu").push_to_hub("someone/scenes")


def test_which_names_are_the_hub_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert all(hub.is_hubs(name) for name in ("hf:a/b", "owner/name-1.0", "hf:runs/demo"))
    assert not any(hub.is_hubs(name) for name in ("name", "./a/b", "../a", "a/b/c", "/a/b", "a/", Path("owner/name")))
