"""SIGTERM and Ctrl-C while a network learns: the step is finished and saved, and going on changes no byte."""

import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest
from planted_hooks import At, plant

from unipan.checkpoint import RunFolder
from unipan.config import Config
from unipan.data.build import step_batches, training_dataset
from unipan.data.loader import training_batches
from unipan.engine.fit import Step
from unipan.engine.interrupt import Stopped, requests_to_stop
from unipan.engine.processes import Processes
from unipan.errors import OthersUnreachable
from unipan.recipes.train import train
from unipan.recipes.training.checkpoints import newest_state, saved_steps
from unipan.recipes.training.hooks import StopRequest


def test_a_run_stopped_after_every_step_ends_with_the_same_bytes(tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for step in range(1, tiny_config.train.steps):
        with pytest.MonkeyPatch.context() as patch:
            plant(patch, At(step, signal.SIGTERM if step % 2 else signal.SIGINT), first=True)
            with pytest.raises(Stopped, match=f"after step {step} of 6, which is saved; give the same command with --resume"):
                train(tiny_config, out, resume=step > 1)
        state = newest_state(RunFolder(out))
        assert state
        assert state.step == step
        assert len(saved_steps(RunFolder(out))) <= tiny_config.train.keep
    train(tiny_config, out, resume=True)
    for name in ("model.safetensors", "checkpoints/step-00000006.safetensors"):
        assert (out / name).read_bytes() == (tiny_run / name).read_bytes()


def test_a_signal_is_answered_at_once_and_during_the_last_step_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    hook = StopRequest(RunFolder(Path("run")), 3, 1, Processes(0, 1), "say it again")
    steps = [Step(index=index, losses={}, learning_rate=0.1) for index in (2, 3)]
    os.kill(os.getpid(), signal.SIGINT)
    assert capsys.readouterr().err == "SIGINT: finishing step 2 and saving; once more ends at once, without saving\n"
    for step in steps:
        hook.after_step(step)
    hook.close()
    assert isinstance(steps[0].stop, Stopped)
    assert str(steps[0].stop) == "stopped by SIGINT after step 2 of 3, which is saved; say it again to go on in run."
    assert steps[1].stop is None


class OneAsks(Processes):
    """Of several processes, of which at least one says yes."""

    def any_of(self, flag: bool) -> bool:
        return True


@pytest.mark.parametrize("index", [2, 3])
def test_a_reason_that_a_hook_of_one_process_gives_ends_all(index: int) -> None:
    """Or they would wait for each other in different places, with nothing saved."""
    hook = StopRequest(RunFolder(Path("run")), 3, 1, OneAsks(0, 2), "say it again")
    own, other = (Step(index=index, losses={}, learning_rate=0.1, stop=reason) for reason in (StopIteration("enough"), None))
    for step in (own, other):
        hook.after_step(step)
    hook.close()
    assert isinstance(own.stop, StopIteration)
    assert isinstance(other.stop, OthersUnreachable)
    assert f"another process has ended the training after step {index} of 3, which is saved" in str(other.stop)


def test_signals_to_the_whole_job_do_not_take_the_data_away(tiny_config: Config) -> None:
    """A terminal's Ctrl-C and many schedulers' SIGTERM reach the loader's processes too, while the trainer still needs them."""
    batches = training_batches(step_batches(tiny_config, training_dataset(tiny_config.data, 0)), range(8), 1)
    before = set(multiprocessing.active_children())  # of other tests
    next(batches)
    workers = [*(set(multiprocessing.active_children()) - before)]
    assert len(workers) == 1
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(workers[0].pid or 0, number)
    assert len(list(batches)) == 7
    assert set(multiprocessing.active_children()) <= before


def test_the_first_signal_is_noted_and_a_further_ctrl_c_stops_at_once() -> None:
    former = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    noted: list[signal.Signals] = []
    with requests_to_stop(noted.append) as asked:
        assert asked() is None
        for number in (signal.SIGTERM, signal.SIGTERM):  # schedulers may repeat themselves
            os.kill(os.getpid(), number)
        assert asked() == signal.SIGTERM
        assert noted == [signal.SIGTERM]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == former


def test_the_former_handlers_return_after_an_error() -> None:
    former = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), requests_to_stop(print):
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) == former


def test_a_former_handler_that_python_does_not_know_becomes_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """`signal.signal` gives None for one that a library has set in C, and takes none."""
    known = signal.signal
    monkeypatch.setattr(signal, "signal", lambda number, handler: known(number, handler) and None)
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with requests_to_stop(print):
            pass
        assert [signal.getsignal(number) for number in former] == [signal.SIG_DFL] * 2
    finally:
        for number, handler in former.items():
            known(number, handler)


def test_training_in_a_thread_leaves_signals_alone() -> None:
    seen = []

    def look() -> None:
        with requests_to_stop(print) as asked:
            seen.append(asked())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [None]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_exit_status_is_a_shells(number: signal.Signals, status: int) -> None:
    assert Stopped("", number).exit_status == status
