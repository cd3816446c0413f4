"""Does the wheel work with the oldest and the newest of what it depends on? Each in an empty environment, without the repository.

    python tests/compat.py                    # every Python from `requires-python` on that is on this machine
    python tests/compat.py --only oldest      # or newest

The newest are tried with every Python, the oldest with the oldest: many a lower bound is older than the newer Pythons, and has no
wheel for them. With pyenv, which offers one Python at a time, name all: PYENV_VERSION=3.12.1:3.13.0.

What is tried: a training of four steps on scenes, evaluation, prediction, scoring of files, and that commands answer. About three
minutes and 6 GB for each environment, most of it PyTorch. Exit 1 and a line for each that fails.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TRIED = """
import json, unipan
run = unipan.train("demo", train={"steps": 4, "warmup_steps": 1, "decay_steps": (3,), "workers": 0, "batch_size": 2},
                   data={"val_scenes": 2, "scene_size": (64, 96)}, model={"pretrained": False}, out="run")
print(json.dumps(run.evaluate().to_json())[:60])
"""
COMMANDS = (
    "unipan --version",
    "unipan demo --show --out scenes",
    "unipan predict run scenes/images --out answers",
    "unipan score scenes/truth.json answers/panoptic.json",
    "unipan env",
)
Age = Literal["oldest", "newest"]


def pins(age: Age) -> list[str]:
    """What pip installs beside the wheel: each dependency at its lower bound, or nothing, as the newest come by themselves."""
    found = [re.match(r"([\w-]+)>=([\d.]+)", entry) for entry in PROJECT["dependencies"]]
    return [f"{match[1]}=={match[2]}" for match in found if match] if age == "oldest" else []


def pythons() -> list[str]:
    """The interpreters here whose versions the classifiers name."""
    versions = [entry.rpartition(" ")[2] for entry in PROJECT["classifiers"] if re.search(r"Python :: \d+\.\d+$", entry)]
    found = [path for version in versions if (path := shutil.which(f"python{version}")) and answers(path)]
    print(f"Of Python {', '.join(versions)} these are here and tried: {', '.join(found)}", flush=True)
    return found


def answers(python: str) -> bool:
    """Whether it is more than a name, as a version manager leaves them."""
    return subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0


def tried(python: str, age: Age, wheel: Path, folder: Path) -> str:
    """What failed, or nothing."""
    environment = folder / f"{Path(python).name}-{age}"
    own = environment / "bin" / "python"
    constraints = folder / f"{age}.txt"
    constraints.write_text("\n".join(pins(age)))
    steps = [
        [python, "-m", "venv", str(environment)],
        [str(own), "-m", "pip", "install", "--quiet", "--constraint", str(constraints), str(wheel)],
        [str(own), "-c", TRIED],
        *([str(own.with_name("unipan")), *command.split()[1:]] for command in COMMANDS),
    ]
    work = folder / f"{environment.name}-work"
    work.mkdir()
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, cwd=work, check=False)
        if done.returncode:
            return f"{' '.join(step)[:120]}\n{done.stderr[-2000:]}"
    return ""


def main() -> int:
    """Try all; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=["oldest", "newest"])
    only: Age | None = parser.parse_args().only
    ages: tuple[Age, ...] = (only,) if only else ("oldest", "newest")
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], check=True, stdout=subprocess.DEVNULL)
        (wheel,) = folder.glob("*.whl")
        here = pythons()
        for age in ages:
            for python in here[:1] if age == "oldest" else here:
                wrong = tried(python, age, wheel, folder)
                failures += bool(wrong)
                print(f"{Path(python).name}, {age}: {wrong or 'works'}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
