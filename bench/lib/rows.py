# SPDX-License-Identifier: Apache-2.0
"""One measured figure, what was hoped of it, and how both are written down."""

import json
from dataclasses import asdict, dataclass


@dataclass
class Row:
    measure: str
    name: str
    value: float
    unit: str
    goal: str | None = None         # as people read it: "<= 16 MB"
    reached: bool | None = None     # None: nothing was hoped of this figure
    note: str = ""


def at_most(measure, name, value, unit, limit, note=""):
    """A figure that is to be small.  `limit` is in the row's unit; it was reached when value <= limit."""
    return Row(measure, name, value, unit, f"<= {number(limit)}", value <= limit, note)


def at_least(measure, name, value, unit, limit, note=""):
    return Row(measure, name, value, unit, f">= {number(limit)}", value >= limit, note)


def number(value):
    """Three digits that count, whole numbers whole, thousands set off: 0.223, 14.7, 1,240."""
    if value == 0:
        return "0"
    size = abs(value)
    if float(value).is_integer() or size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.6f}".rstrip("0")


def verdict(row):
    return {None: "", True: "yes", False: "**no**"}[row.reached]


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


HEAD = ("measure", "figure", "value", "goal", "reached", "note")


def cells(row):
    value = f"{number(row.value)} {row.unit}".strip()
    return [cell(x) for x in (row.measure, row.name, value, row.goal or "", verdict(row), row.note)]


def markdown(rows):
    """A table; the measure's name is written once, at its first row."""
    lines, last = [HEAD], None
    for row in rows:
        line = cells(row)
        line[0], last = ("" if row.measure == last else line[0]), row.measure
        lines.append(line)
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    # Notes are of all lengths: the last column isn't padded.
    padded = ["| " + " | ".join([*(text.ljust(width) for text, width in zip(line[:-1], widths)), line[-1]]).rstrip() + " |"
              for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths[:-1]) + "|---|"
    # Numbers read best with their last digits below one another.
    columns = rule.split("|")
    columns[3] = columns[3][:-1] + ":"
    return "\n".join([padded[0], "|".join(columns), *padded[1:]]) + "\n"


def as_json(about, rows):
    return json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=2) + "\n"
