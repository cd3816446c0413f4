"""The command line: one thin command for each recipe.

Results go to stdout, progress and messages to stderr. Exit status: 0 success, 2 what the user can mend, 1 a fault of ours.
Recipes are imported when they are run, so that `--help` answers at once.
"""

import sys

from tyro.extras import SubcommandApp

from unipan.cli.evaluation import compare, evaluate, predict, score
from unipan.cli.parse import check_names, deferred, parse
from unipan.cli.training import demo, train_app
from unipan.errors import InputError
from unipan.presets import PRESETS

VERBS = {verb.__name__: verb for verb in (demo, evaluate, predict, compare, score)}
WITH_PRESET = {"train": (train_app, "Train a network with a preset; --help after its name lists every setting.")}
"""Verbs that a preset's name follows."""

app = SubcommandApp()
for _verb in VERBS.values():
    app.command(deferred(_verb))
for _name, (_app, _help) in WITH_PRESET.items():
    app.command(_app, name=_name, help=_help)


def main(arguments: list[str] | None = None) -> None:
    """The `unipan` command."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        check_names(given, verbs=[*VERBS, *WITH_PRESET], with_preset=[*WITH_PRESET], presets=[*PRESETS])
        parse(app, given, with_preset=[*WITH_PRESET])()
    except InputError as error:
        print(f"unipan: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("unipan: interrupted.", file=sys.stderr)
        sys.exit(130)
