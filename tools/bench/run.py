# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Rounds: who is measured when, and which samples count."""

import sys
import time

import load
import machine
from contenders import Running
from lab import Lab

# A sample beside foreign load is taken again so often before it is given up,
# as long as these are not too many: on a machine that others use all the time
# nothing would come of it.
TRIES = 3
RETRIES_SHARE = 0.2
# On topologies that only show that nothing is different there.
ELSEWHERE_ROUNDS = 3


def say(text):
    print(text, file=sys.stderr, flush=True)


class Run:
    """All samples of one run; `rows` is what the report is made of."""

    def __init__(self, options, contenders, measures):
        self.options = options
        self.contenders = contenders
        self.measures = measures
        self.rows = []
        self.notes = []
        self.thrown_away = 0
        self.congestion = ""
        self.deadline = time.monotonic() + options.minutes * 60

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)
            say(f"note: {text}")

    def tries(self):
        few = self.thrown_away < 10 + RETRIES_SHARE * len(self.rows)
        return TRIES if few else 1

    def is_over(self):
        return time.monotonic() > self.deadline

    def execute(self):
        for topology in self.options.topologies:
            measures = [m for m in self.measures if self.variants(m, topology)]
            if not measures:
                continue
            with Lab(topology) as lab:
                self.congestion = lab.congestion
                Topology(self, lab).execute(measures)
        return self.rows

    def variants(self, measure, topology):
        if topology not in measure.topologies:
            return ()
        if self.options.quick:
            return measure.quick if topology == "routed" else ()
        return measure.variants if topology == "routed" else measure.elsewhere

    def rounds(self, measure, topology):
        rounds = self.options.rounds
        if topology != "routed":
            rounds = min(rounds, ELSEWHERE_ROUNDS)
        return min(rounds, measure.rounds) if measure.rounds else rounds


class Topology:
    """The part of a run that happens in one lab."""

    def __init__(self, run, lab):
        self.run = run
        self.lab = lab
        self.running = {}

    def execute(self, measures):
        for contender in self.run.contenders:
            running = Running(self.lab, contender)
            try:
                running.start()
            except (RuntimeError, OSError) as error:
                self.run.note(f"{contender.label} does not run: {error}")
                continue
            if contender.hooks:
                running.stop()
            self.running[contender.name] = running
        for measure in measures:
            for variant in self.run.variants(measure, self.lab.topology):
                self.take(measure, variant)

    def take(self, measure, variant):
        """Warm up, then rounds in which all have their turn twice, the second
        time in the reverse order: what drifts evenly cancels out."""
        if self.run.is_over():
            self.run.note(
                f"{measure.name} {variant} ({self.lab.topology}) left out: "
                f"{self.run.options.minutes} minutes are over"
            )
            return
        begin = time.monotonic()
        names = self.participants(measure, variant)
        if not measure.fresh:
            for name in list(names):
                if not self.sample(measure, variant, name, None, None):
                    names.remove(name)
        for number in range(self.run.rounds(measure, self.lab.topology)):
            if self.run.is_over():
                self.run.note(
                    f"{measure.name} {variant} ({self.lab.topology}) has only "
                    f"{number} rounds: the time is over"
                )
                break
            order = [(name, 0) for name in names]
            if measure.rounds != 1:
                order += [(name, 1) for name in reversed(names)]
            for name, half in order:
                self.sample(measure, variant, name, number, half)
        say(
            f"{self.lab.topology:10} {measure.name:10} {variant:10} "
            f"{time.monotonic() - begin:6.1f} s"
        )

    def participants(self, measure, variant):
        basic = self.lab.topology == "routed" and variant in (
            measure.basics or measure.variants
        )
        return [
            name
            for name, running in self.running.items()
            if measure.takes_part(running.contender)
            and (basic or not running.contender.basics)
        ]

    def sample(self, measure, variant, name, number, half):
        """Return: whether the contender can do it at all."""
        running = self.running[name]
        seconds = round(measure.seconds * self.run.options.scale, 3)
        warm_up = number is None
        if warm_up:
            seconds = round(max(0.1, seconds / 4), 3)
        threshold = self.run.options.foreign / 100
        for attempt in range(1 if warm_up else self.run.tries()):
            short = machine.tcp_is_short_of_memory()
            if short:
                self.run.note("others use up the machine's memory for TCP")
            try:
                figures = self.once(measure, variant, running, seconds)
            except (load.LoadFailed, RuntimeError, TimeoutError) as error:
                self.run.note(
                    f"{running.contender.label}, {measure.name} {variant} "
                    f"({self.lab.topology}): {error}"
                )
                return False
            if warm_up:
                return True
            alone = figures["foreign"] <= threshold or not measure.alone
            quiet = alone and not short
            if not quiet:
                self.run.thrown_away += 1
            if quiet:
                break
        if figures["failures"]:
            self.run.note(
                f"{running.contender.label}, {measure.name} {variant} "
                f"({self.lab.topology}): {figures['failures']} failed: "
                f"{figures['complaint']}"
            )
        self.run.rows.append(
            {
                "topology": self.lab.topology,
                "measure": measure.name,
                "variant": variant,
                "contender": name,
                "round": number,
                "half": half,
                "counts": quiet and not figures["failures"],
                "tries": attempt + 1,
                **figures,
            }
        )
        return True

    def once(self, measure, variant, running, seconds):
        if measure.fresh:
            # With others asleep beside it, and none of its past in memory.
            running.stop()
            if not measure.starts:
                running.start()
            try:
                return measure.sample(self.lab, running, variant, seconds)
            finally:
                running.stop()
                if not running.contender.hooks:
                    running.start()
        if running.contender.hooks:
            running.start()
        try:
            return measure.sample(self.lab, running, variant, seconds)
        finally:
            if running.contender.hooks:
                running.stop()
