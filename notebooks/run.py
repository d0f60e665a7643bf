"""Run every notebook from a clean kernel, in an empty folder; any error ends it with a traceback and exit code 1.

python notebooks/run.py            # checks
python notebooks/run.py --save     # also keeps the outputs in the notebooks
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def without_warnings(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Leave out what libraries say on stderr: it names folders of this machine."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [item for item in cell.outputs if item.get("name") != "stderr"]
    return notebook


def main() -> None:
    """Run them all."""
    for path in sorted(Path(__file__).parent.glob("*.ipynb")):
        start = time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            NotebookClient(notebook, timeout=900, resources={"metadata": {"path": folder}}).execute()
        if "--save" in sys.argv:
            nbformat.write(without_warnings(notebook), path)
        print(f"{path.name}: ran in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
