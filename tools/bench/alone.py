# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What is measured without contenders and without a lab: tools that print a
line of JSON a case. A row of TOOLS is all that a new one needs."""

import json
import os
import subprocess
from dataclasses import dataclass

from contenders import BUILD


@dataclass(frozen=True)
class Tool:
    """@head: of the table; @cells: of a row of it, from a line's JSON; @key
    and @value: what its picture shows, if it has one."""

    name: str
    title: str
    program: str
    head: tuple
    cells: tuple
    key: str = ""
    value: str = ""

    def measure(self):
        """Rows, by its lines."""
        done = subprocess.run(
            [os.path.join(BUILD, "tests", "tools", self.program)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.program}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def as_table(self, rows):
        lines = [f"### {self.title}", ""]
        lines.append("| " + " | ".join(self.head) + " |")
        lines.append("|---" * len(self.head) + "|")
        for row in rows:
            cells = [format(cell(row), ",.0f") for cell in self.cells]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"

    def picture(self, rows, path):
        if not self.value:
            return
        data = "\n".join(f"{row[self.key]} {row[self.value]}" for row in rows)
        script = f"""set terminal svg size 900,400 font "sans-serif,13" background "white"
set output "{path}"
set title "{self.title}"
set xlabel "{self.key}"
set ylabel "{self.value} (less is better)"
set logscale x
set yrange [0:*]
set grid lc rgb "#dddddd"
set border 3
set tics nomirror out
set key off
$data << END
{data}
END
plot $data with linespoints pt 7 lw 2 lc rgb "#e53935"
"""
        subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)


LOOKUP = Tool(
    "lookup",
    "Finding a route",
    "lookup_bench",
    ("routes", "a lookup, ns", "applying all, ms", "memory of the maps, MiB"),
    (
        lambda row: row["routes"],
        lambda row: row["lookup_ns"],
        lambda row: row["apply_ms"],
        lambda row: row["memory_bytes"] / (1 << 20),
    ),
    key="routes",
    value="lookup_ns",
)
EDGE = Tool(
    "edge",
    "A packet at the edge, beyond one without a hook",
    "edge_bench",
    (
        "banned addresses",
        "let through, ns",
        "by nftables, ns",
        "dropped, ns",
        "by nftables, ns",
        "the program alone, ns",
    ),
    (
        lambda row: row["banned"],
        lambda row: row["miss_ns"]["edge"],
        lambda row: row["miss_ns"]["nftables"],
        lambda row: row["drop_total_ns"]["edge"] - row["drop_total_ns"]["none"],
        lambda row: row["drop_total_ns"]["nftables"] - row["drop_total_ns"]["none"],
        lambda row: row["miss_ns"]["program"],
    ),
)
TOOLS = (LOOKUP, EDGE)
BY_NAME = {tool.name: tool for tool in TOOLS}
