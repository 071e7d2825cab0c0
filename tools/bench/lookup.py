# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What finding a route costs among many: no contender, no network."""

import json
import os
import subprocess

from contenders import BUILD

LOOKUP_BENCH = os.path.join(BUILD, "tests", "tools", "lookup_bench")


def measure():
    """Rows of lookup_bench, by number of routes; empty: it has failed."""
    done = subprocess.run(
        [LOOKUP_BENCH], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise RuntimeError(f"lookup_bench: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def as_table(rows):
    lines = [
        "### Finding a route",
        "",
        "| routes | a lookup, ns | applying all, ms | memory of the maps, MiB |",
        "|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['routes']:,} | {row['lookup_ns']:.0f} | {row['apply_ms']:.0f} "
            f"| {row['memory_bytes'] / (1 << 20):.0f} |"
        )
    return "\n".join(lines) + "\n"


def picture(rows, path):
    data = "\n".join(f"{row['routes']} {row['lookup_ns']}" for row in rows)
    script = f"""set terminal svg size 900,400 font "sans-serif,13" background "white"
set output "{path}"
set title "Finding a route"
set xlabel "routes"
set ylabel "ns a lookup (less is better)"
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
