"""The command line: one thin command for each recipe.

Results go to stdout, progress and messages to stderr. Exit status: 0 success, 2 what the user can mend, 1 a fault of ours,
130 Ctrl-C, 143 SIGTERM (both after a training has saved).
Recipes are imported when they are run, so that `--help` answers at once.
"""

import sys

from tyro.extras import SubcommandApp

from unipan.cli import launched
from unipan.cli.convert import FORMS, convert_app
from unipan.cli.data import doctor, inspect_app
from unipan.cli.ending import ending
from unipan.cli.evaluation import compare, evaluate, predict, score
from unipan.cli.parse import Words, check_names, deferred, parse
from unipan.cli.runs import runs
from unipan.cli.tables import tables_app
from unipan.cli.training import demo, train_app
from unipan.presets import PRESETS
from unipan.recipes.tables.paper_tables import LETTERS

VERBS = {verb.__name__: verb for verb in (demo, evaluate, predict, compare, score, runs, doctor)}
WITH_PRESET = {
    "train": (train_app, "Train a network with a preset; --help after its name lists every setting."),
    "inspect": (inspect_app, "Draw what a training would see: the same settings as train, and a picture for --out."),
}
"""Verbs that a preset's name follows."""

_A_PRESET = ("preset", [*PRESETS])
WORDS: Words = {
    **{verb: () for verb in VERBS},
    **{verb: (_A_PRESET,) for verb in WITH_PRESET},
    "convert": (("form", FORMS),),
    "tables": (("table", [*LETTERS]), _A_PRESET),
}
"""What may follow `unipan`, and what follows that."""

app = SubcommandApp()
for _verb in VERBS.values():
    app.command(deferred(_verb))
for _name, (_app, _help) in WITH_PRESET.items():
    app.command(_app, name=_name, help=_help)
app.command(convert_app, name="convert", help="Write another format in the COCO panoptic layout, which train reads.")
app.command(tables_app, name="tables", help="Make a table of the paper's supplementary: trains, evaluates, compares seeds.")


def main(arguments: list[str] | None = None) -> None:
    """The `unipan` command."""
    given = sys.argv[1:] if arguments is None else arguments
    with ending():
        check_names(given, WORDS)
        parse(app, given, WORDS)()
        launched.part()
