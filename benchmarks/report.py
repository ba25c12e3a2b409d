"""The report of a run: printed as results arrive, and saved as Markdown, JSON and charts."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import charts
from benchmarks.ceilings import Ceilings, highest
from benchmarks.comparison import Comparison
from benchmarks.growth import Line
from benchmarks.maps import Map
from benchmarks.operations.measuring import Operations
from benchmarks.sequences.problems import SEQUENCES
from benchmarks.tables import (
    attention_tables,
    floors_table,
    growth_table,
    imports_table,
    map_tables,
    operations_table,
    table_of,
)


class Report:
    def __init__(self, machine: str, folder: Path | None) -> None:
        self.machine, self.folder = machine, folder
        self.problems: list[Comparison] = []
        self.lines: list[Line] = []
        self.ceilings: list[Ceilings] = []
        self.numbers: dict[str, Any] = {"machine": machine, "ceilings": {}, "problems": []}
        self.texts: list[str] = []
        self._write(f"{machine}\n")

    @property
    def where(self) -> str:
        """The machine and the highest speeds measured on it, for charts."""
        return f"{self.machine}\nreached {highest(self.ceilings)}"

    def begin_group(self, name: str, ceilings: Ceilings) -> None:
        """Add a heading with the ceilings of the machine, on which ratios depend."""
        self.ceilings.append(ceilings)
        self.numbers["ceilings"][name] = asdict(ceilings)
        self._write(f"## {name}\n\nThe machine reaches {ceilings}.\n")

    def add_problem(self, comparison: Comparison) -> None:
        self.problems.append(comparison)
        self.numbers["problems"].append(asdict(comparison))
        self._write(table_of(comparison))
        if self.folder:
            shown = [
                other for other in self.problems if (other.problem in SEQUENCES) == (comparison.problem in SEQUENCES)
            ]
            if comparison.problem in SEQUENCES:
                charts.ratios(shown, self.where, self.folder / "sequences.png", charts.FLOOR_OF_SEQUENCES)
            else:
                charts.ratios(shown, self.where, self.folder / "ratios.png")

    def add_map(self, perceptrons: Map) -> None:
        self.numbers["problems"] += [asdict(found) for row in perceptrons.rows.values() for found in row.values()]
        self._write(map_tables(perceptrons))
        if self.folder and perceptrons.programs:
            charts.perceptrons(perceptrons, self.where, self.folder / "perceptrons.png")

    def add_floors(self) -> None:
        if self.problems:
            self._write(floors_table(self.problems))

    def add_operations(self, operations: Operations) -> None:
        self.numbers["operations"] = asdict(operations)
        self._write(operations_table(operations))
        if self.folder and operations.ceilings.speeds:
            charts.operations(
                operations, f"{self.machine}\nreached {operations.ceilings}", self.folder / "operations.png"
            )

    def add_imports(self, imports: Comparison) -> None:
        self.numbers["imports"] = asdict(imports)
        self._write(imports_table(imports))

    def add_line(self, line: Line) -> None:
        self.lines.append(line)
        self.numbers["growth"] = {line.what: line.seconds() for line in self.lines}
        self._write(growth_table(line))
        if self.folder:
            charts.growth(self.lines, self.where, self.folder / "growth.png")

    def add_attention(self, line: Line) -> None:
        self._write(attention_tables(line))
        if self.folder:
            charts.attention(line, self.where, self.folder / "attention.png")

    def _write(self, text: str) -> None:
        """Print and save at once, because a long run may be interrupted."""
        print(text, flush=True)
        self.texts.append(text)
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "results.md").write_text("\n".join([*self.texts, ""]))
            (self.folder / "results.json").write_text(json.dumps(self.numbers, indent=1))
