# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a measure is; those that there are stand in measures.py."""

from dataclasses import dataclass
from typing import Callable

MORE, LESS = "more", "less"


@dataclass(frozen=True)
class Metric:
    key: str
    title: str
    unit: str
    better: str


@dataclass(frozen=True)
class Measure:
    """A measure and its variants.

    sample(lab, running, variant, seconds) returns figures: elapsed_s, cpu_s,
    proxy_s, foreign, failures, and "metrics" by their keys. A measure that
    needs a fresh process is `fresh`; one that starts it itself, `starts`.
    """

    name: str
    title: str
    metrics: tuple
    variants: tuple
    sample: Callable
    topologies: tuple = ("routed",)
    quick: tuple = ()  # variants of the quick run
    basics: tuple = ()  # those that all take part in; (): all variants
    elsewhere: tuple = ()  # variants on the other topologies
    takes_part: Callable = lambda contender: True
    fresh: bool = False
    starts: bool = False
    seconds: float = 1.0  # of a sample, times the run's own factor
    rounds: int = 0  # at most; 0: as the run says
    claim: bool = True  # False: reported, nothing is claimed from it
    alone: bool = True  # False: foreign load does not matter


def finish(figures, **metrics):
    figures["metrics"] = metrics
    return figures
