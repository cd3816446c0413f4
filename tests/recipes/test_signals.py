"""SIGTERM and Ctrl-C while a network learns: the step is finished and saved, and going on changes no byte."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from unipan.checkpoint import RunFolder
from unipan.config import Config
from unipan.data.build import augmentation, training_dataset
from unipan.data.loader import training_batches
from unipan.engine.fit import Step
from unipan.engine.interrupt import Stopped, requests_to_stop
from unipan.recipes import train as recipe
from unipan.recipes.train import train
from unipan.recipes.training.saving import newest_state, saved_steps, stopping

LOSSES = Step(1, {"loss": 0.0}, 0.1, 0.0)


def signal_at(patch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """The system sends this process a signal while this step is under way."""
    fit = recipe.fit

    def signalled(*arguments, on_step: Callable[[Step], None], **options) -> None:
        def after(told: Step) -> None:
            if told.number == step:
                os.kill(os.getpid(), number)
            on_step(told)

        fit(*arguments, on_step=after, **options)

    patch.setattr(recipe, "fit", signalled)


def test_a_run_stopped_after_every_step_ends_with_the_same_bytes(tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for step in range(1, tiny_config.train.steps):
        with pytest.MonkeyPatch.context() as patch:
            signal_at(patch, step, signal.SIGTERM if step % 2 else signal.SIGINT)
            with pytest.raises(Stopped, match=f"after step {step} of 6, which is saved; give the same command with --resume"):
                train(tiny_config, out, resume=step > 1)
        state = newest_state(RunFolder(out))
        assert state
        assert state.step == step
        assert len(saved_steps(RunFolder(out))) <= tiny_config.train.keep
    train(tiny_config, out, resume=True)
    for name in ("model.safetensors", "checkpoints/step-00000006.safetensors"):
        assert (out / name).read_bytes() == (tiny_run / name).read_bytes()


def test_a_signal_during_the_last_step_stops_nothing(tiny_config: Config) -> None:
    saved: list[int] = []
    after = stopping(lambda step: None, lambda: signal.SIGTERM, saved.append, RunFolder(Path("run")), 2)
    with pytest.raises(Stopped):
        after(LOSSES)
    after(LOSSES._replace(number=2))
    assert saved == [1]


def test_signals_to_the_whole_job_do_not_take_the_data_away(tiny_config: Config) -> None:
    """A terminal's Ctrl-C and many schedulers' SIGTERM reach the loader's processes too, while the trainer still needs them."""
    batches = training_batches(
        training_dataset(tiny_config.data, 0),
        augmentation=augmentation(tiny_config.data),
        min_thing_px=1,
        batch_size=1,
        seed=0,
        workers=1,
        start_step=0,
        steps=8,
    )
    next(batches)
    workers = multiprocessing.active_children()
    assert len(workers) == 1
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(workers[0].pid or 0, number)
    assert len(list(batches)) == 7
    assert not multiprocessing.active_children()


def test_the_first_signal_is_noted_and_a_further_ctrl_c_stops_at_once() -> None:
    former = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with requests_to_stop() as asked:
        assert asked() is None
        for number in (signal.SIGTERM, signal.SIGTERM):  # schedulers may repeat themselves
            os.kill(os.getpid(), number)
        assert asked() == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == former


def test_the_former_handlers_return_after_an_error() -> None:
    former = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), requests_to_stop():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) == former


def test_training_in_a_thread_leaves_signals_alone() -> None:
    seen = []

    def look() -> None:
        with requests_to_stop() as asked:
            seen.append(asked())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [None]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_exit_status_is_a_shells(number: signal.Signals, status: int) -> None:
    assert Stopped("", number).exit_status == status
