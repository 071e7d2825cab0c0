# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""From samples to a summary, tables and pictures."""

import json
import os
import subprocess
from collections import defaultdict

import alone
import contenders as table
import measures as measuring
import ratios
from parked import idle_flows

REFERENCE = "forward"
PEERS = ("haproxy", "haproxy-splice", "nginx", "sniproxy", "sslh")
COLOURS = {
    "forward": "#9e9e9e",
    "haproxy": "#90caf9",
    "haproxy-splice": "#1976d2",
    "nginx": "#66bb6a",
    "sniproxy": "#ffcc80",
    "sslh": "#bcaaa4",
    "relay": "#ef9a9a",
    "sockmap": "#e53935",
    "splice": "#8e24aa",
    "auto": "#4a148c",
}


class Summary:
    """Samples that count, by case, metric, contender and round."""

    def __init__(self, result):
        self.result = result
        self.cases = defaultdict(set)  # (topology, measure, variant): who
        self.values = defaultdict(lambda: defaultdict(list))
        self.lost = defaultdict(int)  # samples that do not count
        self.failed = defaultdict(int)  # failed connections
        for row in result["samples"]:
            case = (row["topology"], row["measure"], row["variant"])
            self.cases[case].add(row["contender"])
            key = (*case, row["contender"])
            self.failed[key] += row["failures"]
            if not row["counts"]:
                self.lost[key] += 1
                continue
            for metric, value in row["metrics"].items():
                self.values[(*case, metric, row["contender"])][row["round"]].append(
                    value
                )

    def by_round(self, case, metric, contender):
        return self.values.get((*case, metric, contender), {})

    def absolute(self, case, metric, contender):
        rounds = self.by_round(case, metric, contender)
        return ratios.estimate([v for values in rounds.values() for v in values])

    def ratio(self, case, metric, ours, theirs):
        return ratios.paired(
            self.by_round(case, metric, ours), self.by_round(case, metric, theirs)
        )

    def contenders(self, case):
        return [n for n in self.result["contenders"] if n in self.cases[case]]

    def label(self, name):
        return self.result["contenders"][name]["label"]

    def as_rows(self):
        rows = []
        for case in self.cases:
            for metric in measuring.BY_NAME[case[1]].metrics:
                for name in self.contenders(case):
                    absolute = self.absolute(case, metric.key, name)
                    if not absolute:
                        continue
                    row = {
                        "topology": case[0],
                        "measure": case[1],
                        "variant": case[2],
                        "metric": metric.key,
                        "unit": metric.unit,
                        "better": metric.better,
                        "contender": name,
                        "value": absolute.as_dict(),
                        "ratio": {},
                        "not_counted": self.lost[(*case, name)],
                        "failures": self.failed[(*case, name)],
                    }
                    for other in self.contenders(case):
                        ratio = self.ratio(case, metric.key, name, other)
                        if ratio and other != name:
                            row["ratio"][other] = ratio.as_dict()
                    rows.append(row)
        return rows


def number(value):
    """Three digits that mean something."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


def ratio_text(ratio):
    if not ratio:
        return ""
    if ratio.low == ratio.high:
        return f"×{ratio.median:.2f}"
    return f"×{ratio.median:.2f} [{ratio.low:.2f}–{ratio.high:.2f}]"


def measure_title(case):
    measure = measuring.BY_NAME[case[1]]
    place = "" if case[0] == "routed" else f", {case[0]}"
    variant = f", {case[2]}" if len(measure.variants + measure.elsewhere) > 1 else ""
    claim = "" if measure.claim else " (reported, nothing is claimed from it)"
    if case[2] == "most":
        variant = f", {idle_flows():,} of them (what the descriptors allow)"
    return f"{measure.title}{variant}{place}{claim}"


def case_table(summary, case):
    """A row a contender: value, and how it stands to forwarding."""
    metrics = measuring.BY_NAME[case[1]].metrics
    names = summary.contenders(case)
    reference = REFERENCE if REFERENCE in names else None
    head = ["", *(f"{m.title}, {m.unit}" for m in metrics), "failed", "not counted"]
    lines = [f"### {measure_title(case)}", "", "| " + " | ".join(head) + " |"]
    lines.append("|---" * len(head) + "|")
    for name in names:
        cells = [summary.label(name)]
        for metric in metrics:
            absolute = summary.absolute(case, metric.key, name)
            cell = number(absolute.median) if absolute else "–"
            if absolute and reference and name != reference:
                ratio = summary.ratio(case, metric.key, name, reference)
                cell += f" {ratio_text(ratio)}"
            cells.append(cell.strip())
        cells.append(str(summary.failed[(*case, name)]))
        cells.append(str(summary.lost[(*case, name)]))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


# What the README's table shows: case, metric.
HEADLINES = (
    (("routed", "bulk", "down-1"), "gbit_s"),
    (("routed", "bulk", "down-8"), "gbit_s"),
    (("routed", "bulk", "down-8"), "cpu_s_gb"),
    (("routed", "bulk", "up-8"), "cpu_s_gb"),
    (("routed", "paced", "64"), "cpu_s_gb"),
    (("routed", "conn", "64"), "per_s"),
    (("routed", "conn", "64"), "cpu_us"),
    (("routed", "tls", "32"), "per_s"),
    (("routed", "latency", "low"), "p50_us"),
    (("routed", "latency", "medium"), "p99_us"),
    (("routed", "idle", "most"), "process_b"),
    (("routed", "stalled", "100"), "total_kib"),
)


def headline_table(summary):
    shown = [(c, m) for c, m in HEADLINES if c in summary.cases]
    names = [
        n
        for n in summary.result["contenders"]
        if any(n in summary.contenders(case) for case, _ in shown)
    ]
    if not shown:
        return ""
    lines = ["| | " + " | ".join(summary.label(n) for n in names) + " |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for case, key in shown:
        metric = next(m for m in measuring.BY_NAME[case[1]].metrics if m.key == key)
        cells = [f"{measure_title(case)}: {metric.title}, {metric.unit}"]
        for name in names:
            value = summary.absolute(case, key, name)
            cells.append(number(value.median) if value else "–")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def duel_table(summary):
    """Each of ours against each peer, where a claim could come from."""
    ours = [n for n in summary.result["contenders"] if table.BY_NAME[n].ours]
    peers = [n for n in PEERS if n in summary.result["contenders"]]
    peers += [n for n in ours if n.endswith("-before")]
    lines = []
    for case, key in HEADLINES:
        if case not in summary.cases:
            continue
        metric = next(m for m in measuring.BY_NAME[case[1]].metrics if m.key == key)
        for name in ours:
            cells = [ratio_text(summary.ratio(case, key, name, p)) for p in peers]
            if any(cells):
                title = f"{measure_title(case)}: {metric.title} ({metric.better})"
                lines.append(f"| {title} | {name} | " + " | ".join(cells) + " |")
    if not lines:
        return ""
    head = "| ratio (better: more or less) | | "
    head += " | ".join(summary.label(p) for p in peers) + " |"
    return "\n".join([head, "|---" * (len(peers) + 2) + "|", *lines]) + "\n"


def environment_text(result):
    where = result["machine"]
    versions = [
        f"{c['label']} {c['version']}"
        + (f" (PROXY {c['proxy']})" if c["proxy"] != "off" else "")
        for c in result["contenders"].values()
        if c["version"]
    ]
    options = result["options"]
    return "\n".join(
        [
            f"Linux {where['kernel']}, {where['machine']}, {where['cpus']} CPUs "
            f"({where['cpu']}), {where['memory_bytes'] >> 20} MiB, "
            f"{where['nofile']} descriptors, congestion control {result['congestion']}; "
            f"{where['time']}.",
            "; ".join(versions) + ".",
            f"{options['rounds']} paired rounds; median, and in brackets the "
            "interval that holds it with 95 % confidence (93.75 % with 5 rounds). "
            "×: the median of the ratios to plain forwarding in the same round.",
            f"{result['thrown_away']} samples beside foreign load above "
            f"{options['foreign']:g} % of the machine were thrown away.",
            *(f"Note: {note}" for note in result["notes"]),
        ]
    )


# ---- pictures ---------------------------------------------------------------

PICTURE_HEAD = """set terminal svg size 900,{height} font "sans-serif,13" background "white"
set output "{path}"
set title "{title}" noenhanced
set xlabel "{axis}" noenhanced
set xrange [0:*]
set yrange [{rows}:-1]
set style fill solid 0.9 noborder
set boxwidth 0.7
set grid xtics lc rgb "#dddddd"
set border 3
set tics nomirror out
set key off
set ytics ({labels}) noenhanced
set lmargin {margin}
"""


def quoted(text):
    return text.replace("\\", "\\\\").replace('"', '\\"')


def picture(summary, measure, metric, cases, path):
    """Horizontal bars, a group a case, a whisker for the interval."""
    labels, data, at = [], [], 0
    for case in cases:
        title = ", ".join(part for part in (case[2], case[0]) if part != "routed")
        labels.append(f'"{quoted(title)}" {at}')
        at += 1
        for name in summary.contenders(case):
            value = summary.absolute(case, metric.key, name)
            if not value:
                continue
            labels.append(f'"{quoted(summary.label(name))}" {at}')
            colour = int(COLOURS.get(name, "#607d8b")[1:], 16)
            data.append(
                f"{at} {max(value.median, 0)} {max(value.low, 0)} "
                f"{max(value.high, 0)} {colour}"
            )
            at += 1
        at += 0.5
    if not data:
        return
    script = PICTURE_HEAD.format(
        height=int(90 + 22 * at),
        path=path,
        title=quoted(f"{measure.title}: {metric.title}"),
        axis=quoted(f"{metric.unit} ({metric.better} is better)"),
        rows=at,
        labels=", ".join(labels),
        margin=24,
    )
    script += "$data << END\n" + "\n".join(data) + "\nEND\n"
    script += (
        "plot $data using ($2/2):1:($2/2):(0.35):5 with boxxyerror lc rgb variable, "
        '$data using 2:1:3:4 with xerrorbars pt -1 lw 1.2 lc rgb "#333333"\n'
    )
    subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)


def pictures(summary, folder):
    for measure in measuring.MEASURES:
        cases = [case for case in summary.cases if case[1] == measure.name]
        for metric in measure.metrics if cases else ():
            picture(
                summary,
                measure,
                metric,
                cases,
                os.path.join(folder, f"{measure.name}-{metric.key}.svg"),
            )


def write(result, folder):
    """Files in @folder. Return: the text for the terminal."""
    summary = Summary(result)
    with open(f"{folder}/summary.json", "w", encoding="utf-8") as file:
        json.dump(
            {k: v for k, v in result.items() if k != "samples"}
            | {"rows": summary.as_rows()},
            file,
            indent=1,
        )
    environment = environment_text(result)
    cases = "\n".join(case_table(summary, case) for case in summary.cases)
    duels = duel_table(summary)
    text = f"{environment}\n\n{cases}\n{duels}"
    for name, rows in result["alone"].items():
        text += "\n" + alone.BY_NAME[name].as_table(rows)
        alone.BY_NAME[name].picture(rows, f"{folder}/{name}.svg")
    with open(f"{folder}/table.md", "w", encoding="utf-8") as file:
        file.write(f"{headline_table(summary)}\n{text}")
    pictures(summary, folder)
    return text
