"""The part of the model card that a build adds: what was read, how it was judged, whom to cite."""

from __future__ import annotations

from typing import Any, Final

from ..corpus.files import ORIGINAL_SOURCE

CITATION: Final = """\
J. Collins, J. Sohl-Dickstein, D. Sussillo. Capacity and Trainability in Recurrent Neural Networks. ICLR 2017.
arXiv:1611.09913. Data: https://github.com/jazcollins/cap-n-train-hps, CC BY 4.0."""


def describe_build(archive: str, found: dict[str, Any], evaluation: str) -> str:
    """Return Markdown.

    Parameters
    ----------
    archive : str
        Its name.
    found : dict
        What reading it found, `reading.FOUND`.
    evaluation : str
        The Markdown of the evaluation, with a heading.
    """
    rows = [_row(part, found[part]) for part in ("archive", "builtin", "both") if part in found]
    refusals = [f"- {item['rows']:,} of {item['where']}: {item['why']}" for item in found["archive"]["refusals"]]
    notes = [f"- {note}" for note in found["archive"]["notes"]]
    remarks = "\n".join(["", "Not taken over:", "", *refusals, *notes, ""]) if refusals or notes else ""
    _, _, figures = evaluation.partition("\n")
    return f"""## What was read

`{archive}`; its runs have the source `{ORIGINAL_SOURCE}` unless they say otherwise.

| part | runs | setups | diverged | duplicates | contradictory | refused |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}
{remarks}
If it is the original archive, cite

> {CITATION.replace(chr(10), chr(10) + "> ")}

## Evaluation

On setups that the surrogate has not seen, in five folds. The models that were judged are fitted on four fifths of the
runs below, those of this folder on all runs:
{figures}"""


def _row(part: str, summary: dict[str, Any]) -> str:
    names = ("rows", "setups", "diverged", "duplicates", "contradictory", "refused")
    return "| " + " | ".join([part, *(f"{summary[name]:,}" for name in names)]) + " |"
