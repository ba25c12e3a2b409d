"""What a run has found: printed as it comes, and kept as Markdown, JSON and pictures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import charts
from benchmarks.comparison import Comparison
from benchmarks.growth import Line
from benchmarks.operations.measuring import Operations
from benchmarks.tables import floors_table, growth_table, imports_table, operations_table, table_of


class Report:
    def __init__(self, machine: str, folder: Path | None) -> None:
        self.machine, self.folder = machine, folder
        self.problems: list[Comparison] = []
        self.lines: list[Line] = []
        self.numbers: dict[str, Any] = {"machine": machine, "problems": []}
        self.texts: list[str] = []
        self._say(f"{machine}\n")

    def add_problem(self, comparison: Comparison) -> None:
        self.problems.append(comparison)
        self.numbers["problems"].append(asdict(comparison))
        self._say(table_of(comparison))
        if self.folder:
            charts.ratios(self.problems, self.machine, self.folder / "ratios.png")

    def add_floors(self) -> None:
        if self.problems:
            self._say(floors_table(self.problems))

    def add_operations(self, operations: Operations) -> None:
        self.numbers["operations"] = asdict(operations)
        self._say(operations_table(operations))
        if self.folder and operations.ceilings:
            charts.operations(operations, self.machine, self.folder / "operations.png")

    def add_imports(self, imports: Comparison) -> None:
        self.numbers["imports"] = asdict(imports)
        self._say(imports_table(imports))

    def add_line(self, line: Line) -> None:
        self.lines.append(line)
        self.numbers["growth"] = {line.what: line.seconds() for line in self.lines}
        self._say(growth_table(line))
        if self.folder:
            charts.growth(self.lines, self.machine, self.folder / "growth.png")

    def _say(self, text: str) -> None:
        """What is found is saved at once, for a long run may be cut off."""
        print(text, flush=True)
        self.texts.append(text)
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "results.md").write_text("\n".join([*self.texts, ""]))
            (self.folder / "results.json").write_text(json.dumps(self.numbers, indent=1))
