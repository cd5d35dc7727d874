"""What the check found."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Literal

Status = Literal["pass", "fail", "n/a"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of the contract and how the environment stands to it.

    Attributes:
        name: Stable short name.
        requirement: What the contract asks for.
        status: `"pass"`, `"fail"` or `"n/a"`.
        expected: What a failed point wanted to see.
        got: What it saw instead.
        reason: Why a point is not applicable.
    """

    name: str
    requirement: str
    status: Status
    expected: str = ""
    got: str = ""
    reason: str = ""

    @property
    def detail(self) -> str:
        """Why the point did not pass, empty where it did."""
        if self.status == "fail":
            return f"expected {self.expected}; got {self.got}"
        return self.reason


@dataclass(frozen=True, kw_only=True)
class Report:
    """Every point of the contract; `str(report)` is a table.

    Attributes:
        subject: The environment, its autoreset mode and its kind of array.
        points: In the order in which they were checked.
    """

    subject: str
    points: tuple[Point, ...]

    @property
    def passed(self) -> bool:
        """Whether no point failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Point, ...]:
        """The points that failed."""
        return tuple(point for point in self.points if point.status == "fail")

    def __getitem__(self, name: str) -> Point:
        """The point of that name."""
        for point in self.points:
            if point.name == name:
                return point
        raise KeyError(name)

    def __str__(self) -> str:
        counts = {"pass": 0, "fail": 0, "n/a": 0}
        for point in self.points:
            counts[point.status] += 1
        lines = [
            self.subject,
            f"{counts['pass']} passed, {counts['fail']} failed, {counts['n/a']} not applicable",
            "",
        ]
        width = max((len(point.name) for point in self.points), default=0)
        for point in self.points:
            mark = "FAIL" if point.status == "fail" else point.status
            lines += _wrap(f"{mark:4}  {point.name:{width}}  ", point.requirement)
            if point.detail:
                lines += _wrap(" " * (width + 8), point.detail)
        return "\n".join(lines)

    def raise_for_failures(self) -> None:
        """Does nothing if every point passed or was not applicable.

        Raises:
            AssertionError: Naming each failed point, what was expected and what came.
        """
        if self.failures:
            lines = [f"{point.name}: {point.detail}" for point in self.failures]
            raise AssertionError("\n".join([f"{self.subject} breaks the contract:", *lines]))


def _wrap(start: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, width=100, initial_indent=start, subsequent_indent=" " * len(start)
    ) or [start.rstrip()]
