"""The command line: one thin command for each recipe, and how a command ends.

Results go to stdout, progress and messages to stderr. Exit status: 0 success, 2 what the user can mend, 1 a fault of ours,
130 Ctrl-C, 143 SIGTERM (both after a training has saved), 141 where nobody reads the output any more.
Recipes are imported when they are run, so that `--help` answers at once.
"""

import os
import re
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from unipan.cli.completion import complete
from unipan.cli.convert import cityscapes, instances, labelme, pairs, shards
from unipan.cli.data import doctor, inspect, interchange
from unipan.cli.evaluate import compare, evaluate, report, runs, score
from unipan.cli.explore import explore
from unipan.cli.export import export
from unipan.cli.figure import figure
from unipan.cli.launch import asked_processes, is_started
from unipan.cli.machine import benchmark, env
from unipan.cli.menu import Command, Menu
from unipan.cli.parse import parse
from unipan.cli.predict import predict
from unipan.cli.threads import processor_quota, set_threads
from unipan.cli.train import demo, table_maker, train
from unipan.config import Config
from unipan.engine.interrupt import Stopped
from unipan.errors import InputError, OthersUnreachable, is_out_of_memory
from unipan.ops.freed_memory import keep_freed_memory
from unipan.presets import PRESETS
from unipan.recipes.tables.paper_tables import LETTERS, paper_table


def _with_presets(run, text: str, *, shared: bool = False) -> Menu:
    entries = {name: Command(run, name, help=preset.__doc__ or "", shared=shared) for name, preset in PRESETS.items()}
    return Menu("preset", text, entries, unnamed=Command(run, "", shared=shared))


VERBS = (report, predict, explore, compare, figure, score, export, interchange, runs, doctor, benchmark, env)
"""Those whose settings are a run's, or none."""
MENU = Menu(
    "verb",
    "Panoptic segmentation through a learnt instance affinity. --help after a verb tells what it takes, --version what is here.",
    {
        "demo": Command(demo, "demo", shared=True),
        "train": _with_presets(
            train, "Train a network with a preset or --config FILE; --help after it lists every setting.", shared=True
        ),
        "evaluate": Command(evaluate, shared=True),
        **{verb.__name__: Command(verb) for verb in VERBS},
        "inspect": _with_presets(inspect, "Draw what a training would see: settings as for train, and an image file for --out."),
        "convert": Menu(
            "form",
            "Convert other formats to the COCO panoptic layout, which train reads, or that to tar shards.",
            {form.__name__: Command(form) for form in (cityscapes, instances, pairs, labelme, shards)},
        ),
        "tables": Menu(
            "table",
            "Make a table of the paper's supplementary: trains, evaluates, compares seeds.",
            {letter: _with_presets(table_maker(letter), f"{paper_table(letter, Config()).title}.") for letter in LETTERS},
        ),
    },
)
"""What may follow `unipan`, and what follows that. A new verb is a function and a line here."""


def _asked_for(words: list[str]) -> list[str]:
    """What `help` and these words ask for, as options do; of help itself and of the version the menu tells."""
    return ["--help"] if words[:1] in (["help"], ["version"], ["--version"], ["--help"]) else [*words, "--help"]


def main(arguments: list[str] | None = None) -> None:
    """The `unipan` command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] (file names may be no text)
    given = sys.argv[1:] if arguments is None else arguments
    with ending():
        if "torch" not in sys.modules:
            set_threads(os.environ, quota=processor_quota(), processes=asked_processes(given))
            keep_freed_memory(os.environ)
        if given[:1] in (["--version"], ["version"]):
            print(f"unipan {version('unipan')}")
        elif given[:1] == ["--complete"]:
            complete(MENU, os.environ.get("COMP_LINE", ""), os.environ.get("COMP_POINT", ""))
        elif not given:
            _end(MENU.listing("unipan"), 2)
        else:
            _run(parse(MENU, _asked_for(given[1:]) if given[0] == "help" else given))
        _leave_other_processes()


def _run(command: Callable[[], None]) -> None:
    from unipan.console import shown_on_terminal

    with shown_on_terminal():
        command()


@contextmanager
def ending() -> Iterator[None]:
    """0 for success, 2 for what the user can mend, 143 and 130 for SIGTERM and Ctrl-C; a fault of ours keeps its traceback."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OthersUnreachable as error:  # those whom the main process started leave it to that one to say
        _end("" if is_started() else f"{_process_name()}: {error}", 2)
    except InputError as error:
        _end(f"{_process_name()}: {error}", 2)
    except Stopped as stop:
        _end(f"unipan: {stop}" if _is_main() else "", stop.exit_status)  # all have stopped, for one reason
    except KeyboardInterrupt:
        _end("unipan: interrupted." if _is_main() else "", 130)
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        sys.exit(141)  # as of a program that SIGPIPE ends
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        asked = re.search(r"allocate ([\d.]+ \w+)", str(error))
        came = f"the memory does not suffice{f', {asked[1]} more were asked for' if asked else ''}"
        _end(f"{_process_name()}: {came}. Smaller images need less (--data.short-side, or tiles), and so do smaller batches.", 2)


def _end(message: str, status: int) -> None:
    if message:
        print(message, file=sys.stderr)
    sys.exit(status)


def _nobody_reads() -> bool:
    """Whether the program that stdout or stderr is piped into has ended, as `head` does; what is left to write is dropped."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        poll.register(stream.fileno(), 0)  # asks for nothing: a pipe that has lost its reader is told always
    gone = [number for number, event in poll.poll(0) if event & select.POLLERR]
    for number in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return bool(gone)


def _process_name() -> str:
    """How a message begins: "unipan", or with the process's rank among several, as the launcher counts."""
    return f"unipan (rank {_rank()} of {_count()})" if _count() > 1 else "unipan"


def _is_main() -> bool:
    """Whether this process says what all have to say."""
    return _rank() == 0


def _leave_other_processes() -> None:
    """Close the connections to the other processes, at the end of a command that went well; accelerate opens one's to itself."""
    if (processes := sys.modules.get("unipan.engine.processes")) is not None:  # a command without torch has none
        processes.shutdown()


def _rank() -> int:  # read from the environment, so that `--help` needs no torch
    return int(os.environ.get("RANK", "0"))


def _count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))
