"""What the package costs before it answers anything: disk and import time, each as a ratio.

    python benchmarks/install.py            # benchmarks/results/install.{json,md}; installs into two fresh environments
    python benchmarks/install.py --smoke    # imports once each, in the environment at hand; writes nothing

- the size of ``pip install .`` against that of ``pip install lightgbm optuna pandas pyarrow``, bytecode included, pip
  and Python's own files not;
- `import rnn_warmstart` against `import numpy`: processor time of whole processes in turn, medians.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, Final

from provenance import markdown_table, provenance, write_result
from rnn_warmstart.corpus import load_builtin

ROOT: Final = Path(__file__).parents[1]
PEERS: Final = ("lightgbm", "optuna", "pandas", "pyarrow")
LIMIT: Final = 1.3
"""What either ratio may be."""


def install(folder: Path, *packages: str) -> str:
    """Make an environment without pip in a folder, install packages into it, and return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    interpreter = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", interpreter, "install", "--quiet", *packages]
    subprocess.run(pip, check=True)
    return interpreter


def weigh(folder: Path) -> dict[str, float]:
    """Return the size of everything that lies in an environment's site-packages, in megabytes, by name."""
    (site,) = folder.glob("lib/python*/site-packages")
    return {
        entry.name: sum(file.stat().st_size for file in (entry, *entry.rglob("*")) if file.is_file()) / 1e6
        for entry in site.iterdir()
    }


def measure_sizes(work: Path) -> tuple[dict[str, Any], str]:
    """Return the sizes of both installations, and the interpreter of the package's."""
    source = work / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info"))
    interpreter = install(work / "core", str(source))
    install(work / "peers", *PEERS)
    core, peers = weigh(work / "core"), weigh(work / "peers")
    added = {name: size for name, size in core.items() if name not in peers and size >= 1}
    return {"megabytes": (sum(core.values()), sum(peers.values())), "added": added}, interpreter


def run(interpreter: str, code: str) -> float:
    """Run code in a fresh interpreter, and return the processor time that it took, seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([interpreter, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_imports(interpreter: str, rounds: int) -> list[float]:
    """Return what importing the package and importing NumPy take, seconds, measured in turn."""
    ways = "import rnn_warmstart", "import numpy"
    taken = [[run(interpreter, code) for code in ways] for _ in range(rounds)]
    return [median(each) for each in zip(*taken, strict=True)]


def describe(result: dict[str, Any], rounds: int) -> str:
    """Return the result as Markdown."""
    rows = [
        [
            name,
            f"{mine:.3g}",
            f"{other:.3g}",
            f"{mine / other:.2f}",
            f"{LIMIT}",
            "no" if mine / other > LIMIT else "yes",
        ]
        for name, (mine, other) in result["figures"].items()
    ]
    text = (
        f"# Installing and importing\n\n`python benchmarks/install.py`, commit {result['provenance']['commit']}; "
        f"imports: processor time, medians of {rounds} rounds, in turn.\n\n"
        + markdown_table(["what", "first", "second", "ratio", "limit", "kept"], rows)
    )
    if added := result.get("added"):
        largest = sorted(added.items(), key=lambda item: -item[1])
        told = ", ".join(f"{name} {size:.0f}" for name, size in largest)
        text += f"\nWhat the package brings that its peers do not, of a megabyte and more, MB: {told}.\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="imports once each; installs and writes nothing")
    smoke = parser.parse_args().smoke
    rounds = 1 if smoke else 41
    result: dict[str, Any] = {"provenance": provenance(load_builtin(), 0), "figures": {}}
    with tempfile.TemporaryDirectory() as name:
        interpreter = sys.executable
        if not smoke:
            sizes, interpreter = measure_sizes(Path(name))
            result["figures"][f"pip install . / {', '.join(PEERS)}: MB"] = sizes["megabytes"]
            result["added"] = sizes["added"]
        result["figures"]["import rnn_warmstart / import numpy: CPU s"] = measure_imports(interpreter, rounds)
    if not smoke:
        write_result("install", result, describe(result, rounds))
    print(describe(result, rounds))


if __name__ == "__main__":
    main()
