"""What succeeding is worth, against the best that was seen of staying short of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from isaac_gymnasium.audit.rollout import Rollout

WINDOW = 10
"""Steps over which a reward must be kept up to count as staying somewhere."""


@dataclass(frozen=True, kw_only=True)
class TermShare:
    """One reward term over all steps.

    Attributes:
        share: Its part of the sum of all terms' absolute values.
        mean: Per step.
        lowest: The smallest value seen.
        highest: The largest value seen.
    """

    share: float
    mean: float
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The outcome; `print` it.

    Attributes:
        discount: Discount factor of the values.
        success: Share of episodes that succeeded at some step, by policy.
        terms: Reward terms by name.
        never_paid: Terms that were zero at every step of every policy: thresholds never reached.
        succeeding: Discounted reward from the first successful step on, the mean over the
            successful episodes of the policy with the highest one; nan if there was none.
        success_policy: Whose.
        staying_short: Value of the best unsuccessful reward kept up for `WINDOW` steps, had it
            been kept up from there to the time limit instead; nan if there was none.
        short_rate: That reward per step.
        short_policy: Who was paid it.
    """

    discount: float
    success: dict[str, float]
    terms: dict[str, TermShare]
    never_paid: list[str]
    succeeding: float
    success_policy: str
    staying_short: float
    short_rate: float
    short_policy: str

    @property
    def passed(self) -> bool:
        """Whether succeeding was seen and is worth more than staying short of it."""
        never_short = math.isnan(self.staying_short) and not math.isnan(self.succeeding)
        return never_short or self.succeeding > self.staying_short

    def __str__(self) -> str:
        width = max(map(len, ("term", *self.terms)))
        lines = [f"{'term':{width}}   share      mean    lowest   highest"]
        lines += [
            f"{name:{width}}  {100 * term.share:5.1f} %  {term.mean:8.4f}  {term.lowest:8.4f}"
            f"  {term.highest:8.4f}"
            for name, term in self.terms.items()
        ]
        if self.never_paid:
            lines.append(f"never paid: {', '.join(self.never_paid)}")
        reached = ", ".join(f"{name} {100 * share:.0f} %" for name, share in self.success.items())
        lines.append(f"success at some step: {reached}")
        if math.isnan(self.succeeding):
            return "\n".join([*lines, "no verdict: no policy succeeded"])
        lines.append(
            f"succeeding is worth {self.succeeding:.4g} (discount {self.discount}, seen in "
            f"{self.success_policy!r})"
        )
        if math.isnan(self.staying_short):
            return "\n".join([*lines, "success pays most: nothing else was kept up"])
        lines.append(
            f"staying short of it {self.staying_short:.4g} ({self.short_rate:.4g} a step, seen in "
            f"{self.short_policy!r})"
        )
        verdict = "success pays more" if self.passed else "STAYING SHORT OF SUCCESS PAYS MORE"
        return "\n".join([*lines, verdict])


def audit(rollouts: Sequence[Rollout], *, discount: float = 0.99) -> Audit:
    """Compares what success is paid with what staying short of it is.

    Args:
        rollouts: Of several policies, one that succeeds among them; the better one of them stays
            just short of success, the sharper the comparison.
        discount: Discount factor, in (0, 1).

    Raises:
        ValueError: Without rollouts, or with a discount that is none.
    """
    if not rollouts:
        raise ValueError("an audit needs at least one rollout")
    if not 0.0 < discount < 1.0:
        raise ValueError(f"discount must lie between 0 and 1, got {discount}")
    rate, policy = max(
        ((_best_short_rate(r), r.name) for r in rollouts), key=lambda found: found[0]
    )
    if rate == -math.inf:
        rate = math.nan
    values, horizons, winner = max(
        ((*_first_successes(r, discount), r.name) for r in rollouts),
        key=lambda found: float(found[0].mean()) if len(found[0]) else -math.inf,
    )
    rest = (1.0 - discount**horizons) / (1.0 - discount)
    return Audit(
        discount=discount,
        success={r.name: float((r.success & r.running).any(0).float().mean()) for r in rollouts},
        terms=(terms := _shares(rollouts)),
        never_paid=[name for name, term in terms.items() if term.lowest == term.highest == 0.0],
        succeeding=float(values.mean()),
        success_policy=winner,
        staying_short=rate * float(rest.mean()),
        short_rate=rate,
        short_policy=policy,
    )


def _shares(rollouts: Sequence[Rollout]) -> dict[str, TermShare]:
    values = {
        name: torch.cat([r.terms[name][r.running] for r in rollouts]) for name in rollouts[0].terms
    }
    total = sum(float(v.abs().sum()) for v in values.values()) or 1.0
    return {
        name: TermShare(
            share=float(v.abs().sum()) / total,
            mean=float(v.mean()),
            lowest=float(v.min()),
            highest=float(v.max()),
        )
        for name, v in values.items()
    }


def _best_short_rate(rollout: Rollout) -> float:
    """The largest mean reward over `WINDOW` unsuccessful steps in a row; -inf if there are none."""
    short = rollout.running & ~rollout.success
    if len(short) < WINDOW:
        return -math.inf
    unbroken = short.unfold(0, WINDOW, 1).all(-1)
    means = rollout.reward.unfold(0, WINDOW, 1).mean(-1)
    return float(means[unbroken].max()) if unbroken.any() else -math.inf


def _first_successes(rollout: Rollout, discount: float) -> tuple[Tensor, Tensor]:
    """For episodes that succeed: discounted reward from then on, and steps to the time limit."""
    reached = rollout.success & rollout.running
    since = torch.arange(len(reached)).unsqueeze(-1) - reached.int().argmax(0)
    weight = torch.where(since >= 0, discount ** since.clamp(min=0), 0.0) * rollout.running
    value = (weight * rollout.reward).sum(0)
    horizon = (rollout.time_limit - reached.int().argmax(0)).float()
    succeeded = reached.any(0)
    return value[succeeded], horizon[succeeded]
