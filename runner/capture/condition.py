"""The one language of conditions on captures: what gates, `supports`, `refutes` and alerts say.

`latency{comm=nginx}.above(10ms) <= 1%`; docs/gates.md has the grammar. Whether a table, a statistic, a key
or a unit exists is not known here: `condition_check.py` holds a condition against tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from runner.errors import NotParsed

Comparison = Literal["<=", "<", ">=", ">", "=", "!="]

COMPARISONS: tuple[Comparison, ...] = ("<=", ">=", "!=", "<", ">", "=")

ABOVE = "above"
"""The one statistic with a threshold: the share of events that are as large as it, or larger."""

_SPACE = re.compile(r"\s*")
_TABLE = re.compile(r"[A-Za-z0-9_@-]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_BARE = re.compile(r"[^\s,{}\"*\\]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,9})?(?![0-9.])")
_UNIT = re.compile(r"%|[A-Za-z]+")
_PER = re.compile(r"/\s*([A-Za-z]+)")
_COMPARISON = re.compile(r"[<>=!]+")
_NOT_WORSE = re.compile(r"not\s+worse\s+by(?![A-Za-z0-9_])")
_JOINED = frozenset({"%", "ns", "us", "ms", "s", "m", "B", "kB", "MB", "GB", "KiB", "MiB", "GiB"})
"""Units that are written without a space before them."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its unit.

    :param unit: As it was written; empty where there is none.
    :param per: Of a rate: the time that it is per, as it was written (`s`); else empty.
    :param column: Where it stands in the condition, from 1; so are the other columns.
    """

    number: Fraction
    unit: str = ""
    per: str = ""
    column: int = field(default=1, compare=False)

    def __str__(self) -> str:
        space = " " if self.unit and self.unit not in _JOINED else ""
        return decimal_text(self.number) + space + self.unit + (f"/{self.per}" if self.per else "")


@dataclass(frozen=True, slots=True)
class KeyMatch:
    """One key that rows must have.

    :param is_prefix: The value is how it begins.
    """

    name: str
    value: str
    is_prefix: bool = False
    column: int = field(default=1, compare=False)

    def __str__(self) -> str:
        is_bare = _BARE.fullmatch(self.value) is not None
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        value = self.value if is_bare else f'"{escaped}"'
        return f"{self.name}={value}" + ("*" if self.is_prefix else "")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: a statistic of a table, or of those of its rows that have the keys.

    :param threshold: Of `above`, and of nothing else.
    """

    table: str
    statistic: str
    keys: tuple[KeyMatch, ...] = ()
    threshold: Amount | None = None
    column: int = field(default=1, compare=False)
    statistic_column: int = field(default=1, compare=False)

    def __str__(self) -> str:
        keys = f"{{{','.join(map(str, self.keys))}}}" if self.keys else ""
        threshold = f"({self.threshold})" if self.threshold is not None else ""
        return f"{self.table}{keys}.{self.statistic}{threshold}"


@dataclass(frozen=True, slots=True)
class Limit:
    """A condition on one capture: a statistic compared with an amount."""

    subject: Subject
    comparison: Comparison
    amount: Amount
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.subject} {self.comparison} {self.amount}"


@dataclass(frozen=True, slots=True)
class NotWorse:
    """A condition on two sets of captures: a statistic that is not worse by more than a share of itself.

    :param percent: 10 for `not worse by 10%`.
    """

    subject: Subject
    percent: Fraction
    column: int = field(default=1, compare=False)
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.subject} not worse by {decimal_text(self.percent)}%"


Condition = Limit | NotWorse


def decimal_text(number: Fraction) -> str:
    """Return a number that has few decimals as it is written, without zeros at its end."""
    if number.denominator == 1:
        return str(number.numerator)
    return format(Decimal(number.numerator) / Decimal(number.denominator), "f")


def parse_condition(text: str, *, what: str = "gate") -> Condition:
    """Parse a condition.

    :param what: What it is called in messages.
    :raises NotParsed: It is none; with the column where that shows.
    """
    return _Parser(text, what).condition()


def parse_subject(text: str, *, what: str) -> Subject:
    """Parse a statistic of a table that stands alone: `latency{comm=nginx}.above(10ms)`.

    :raises NotParsed: It is none.
    """
    parser = _Parser(text, what)
    subject = parser.subject()
    parser.end()
    return subject


def parse_amount(text: str) -> Amount:
    """Parse an amount that stands alone, as the value of a parameter does.

    :raises NotParsed: It is none.
    """
    parser = _Parser(text, "amount")
    amount = parser.amount()
    parser.end()
    return amount


def place_of(condition: Condition, column: int, what: str) -> str:
    """Return where something is, as messages begin."""
    return _place(condition.text or str(condition), column, what)


def _place(text: str, column: int, what: str) -> str:
    return f"{what} {text!r}, column {column}"


class _Parser:
    """Reads one condition from left to right, and knows where it is."""

    def __init__(self, text: str, what: str) -> None:
        self._text = text
        self._what = what
        self._at = 0

    def condition(self) -> Condition:
        subject = self.subject()
        column = self._column()
        if self._take(_NOT_WORSE) is not None:
            amount = self.amount()
            if amount.unit != "%" or amount.per or amount.number < 0:
                raise self._refusal("`not worse by` takes a percentage, such as 10%", amount.column)
            self.end()
            return NotWorse(subject, amount.number, column, self._text)
        comparison = self._take(_COMPARISON)
        sign = comparison[0] if comparison is not None else ""
        if sign not in COMPARISONS:
            raise self._refusal(
                f"here stands a comparison ({' '.join(COMPARISONS)}) or `not worse by`, "
                f"not {self._shown(column)}",
                column,
            )
        amount = self.amount()
        self.end()
        return Limit(subject, sign, amount, self._text)

    def amount(self) -> Amount:
        column = self._column()
        number = self._take(_NUMBER)
        if number is None:
            raise self._refusal(f"here stands a number, not {self._shown(column)}", column)
        unit, per = self._take(_UNIT), self._take(_PER)
        return Amount(Fraction(number[0]), unit[0] if unit else "", per[1] if per else "", column)

    def end(self) -> None:
        column = self._column()
        if self._at < len(self._text):
            raise self._refusal(f"nothing is to follow here: {self._shown(column)}", column)

    def subject(self) -> Subject:
        column = self._column()
        table = self._take(_TABLE)
        if table is None:
            raise self._refusal(f"here stands the name of a table, not {self._shown(column)}", column)
        keys = self._keys()
        self._expect(".", f"a point and a statistic, such as {table[0]}.p99 or {table[0]}.rate")
        statistic_column = self._column()
        statistic = self._take(_WORD)
        if statistic is None:
            raise self._refusal(
                f"here stands a statistic, such as p99 or rate, not {self._shown(statistic_column)}",
                statistic_column,
            )
        threshold = None
        if self._next() == "(":
            self._at += 1
            threshold = self.amount()
            self._expect(")", "a closing parenthesis")
        elif statistic[0] == ABOVE:
            raise self._refusal("`above` has a threshold, such as above(10ms)", self._column())
        return Subject(table[0], statistic[0], keys, threshold, column, statistic_column)

    def _keys(self) -> tuple[KeyMatch, ...]:
        keys: list[KeyMatch] = []
        if self._next() != "{":
            return ()
        while not keys or self._next() == ",":
            self._at += 1
            column = self._column()
            name = self._take(_KEY)
            if name is None:
                raise self._refusal(f"here stands the name of a key, not {self._shown(column)}", column)
            if any(key.name == name[0] for key in keys):
                raise self._refusal(f"{name[0]} stands twice", column)
            self._expect("=", "a =")
            keys.append(KeyMatch(name[0], *self._value(), column))
        self._expect("}", "a comma or a }")
        return tuple(keys)

    def _value(self) -> tuple[str, bool]:
        column = self._column()
        quoted = self._take(_QUOTED)
        bare = self._take(_BARE) if quoted is None else None
        if quoted is not None:
            value = _ESCAPE.sub(r"\1", quoted[1])
        elif bare is not None:
            value = bare[0]
        else:
            shown = self._shown(column)
            raise self._refusal(
                f"here stands a value, in quotes where it has anything but letters in it, not {shown}", column
            )
        is_prefix = self._text[self._at : self._at + 1] == "*"
        self._at += is_prefix
        return value, is_prefix

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self._skip()
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _expect(self, mark: str, what: str) -> None:
        column = self._column()
        if self._next() != mark:
            raise self._refusal(f"here stands {what}, not {self._shown(column)}", column)
        self._at += 1

    def _next(self) -> str:
        self._skip()
        return self._text[self._at : self._at + 1]

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _column(self) -> int:
        self._skip()
        return self._at + 1

    def _shown(self, column: int) -> str:
        rest = self._text[column - 1 :].split()
        return repr(rest[0][:20]) if rest else "its end"

    def _refusal(self, why: str, column: int) -> NotParsed:
        return NotParsed(
            f"{_place(self._text, column, self._what)}: {why}",
            column=column,
            hint="such as 'latency.p99 <= 10ms', 'latency{comm=nginx}.above(10ms) <= 1%', 'drops.rate < 5/s'",
        )
