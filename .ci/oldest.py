"""Prints the oldest versions that `pyproject.toml` allows, test tools aside, as constraints for pip."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())["project"]
extras = [needed for name, needed in project["optional-dependencies"].items() if name != "dev"]
for text in sum(extras, project["dependencies"]):
    name, version = re.fullmatch(r"([\w.-]+)(?:\[.+\])?>=([\d.]+)", text).groups()
    print(f"{name}=={version}")
