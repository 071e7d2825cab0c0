# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Medians, and how sure they are."""

import math
import statistics
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass
class Estimate:
    median: float
    low: float
    high: float
    confidence: float  # reached, by as many values as there were
    count: int

    def as_dict(self):
        return dict(vars(self))


def estimate(values):
    """The median and an interval for it from order statistics.

    Assumes nothing of the distribution: the k-th smallest and the k-th
    largest of n values hold the median between them with probability
    1 - 2 * P(Binomial(n, 1/2) < k). Five values give 93.75 % at best.
    """
    values = sorted(values)
    count = len(values)
    if not count:
        return None
    best, reached = 1, 1 - 2 * 0.5**count
    below = 0.0
    for k in range(1, count // 2 + 1):
        below += math.comb(count, k - 1) * 0.5**count
        if k > 1 and 1 - 2 * below < CONFIDENCE:
            break
        best, reached = k, 1 - 2 * below
    return Estimate(
        median=statistics.median(values),
        low=values[best - 1],
        high=values[count - best],
        confidence=max(0.0, reached),
        count=count,
    )


def paired(ours, theirs):
    """Ratios of what stood in the same round.

    @ours, @theirs: by round, the values that each took in it.
    """
    ratios = []
    for number in sorted(set(ours) & set(theirs)):
        mine, other = (statistics.fmean(side[number]) for side in (ours, theirs))
        if other > 0:
            ratios.append(mine / other)
    return estimate(ratios)
