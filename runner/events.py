"""Events of a run: as captures have them, all at once at its end or each as it comes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.bpftrace.events import EventDecoder, is_of_events
from runner.bpftrace.json_output import JsonReader
from runner.bpftrace.messages import Messages
from runner.bpftrace.recording import Moment, rfc3339
from runner.capture.declaration import EVENT_MARK
from runner.capture.quality import problem
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from runner.bpftrace.events import DecodedEvent
    from runner.bpftrace.session import Taken
    from runner.capture.document import Event, Problem, Table
    from runner.plan import Plan

_EVENTS = tuple(f'{{"type": "value", "data": [{mark},'.encode() for mark in (EVENT_MARK, EVENT_MARK + 1))


@dataclass(slots=True)
class Tally:
    """How many events of each name arrived, and how many of them have lost a part."""

    arrived: Counter[str] = field(default_factory=Counter)
    damaged: Counter[str] = field(default_factory=Counter)

    def add(self, event: Event) -> None:
        """Count an event."""
        self.arrived[event["name"]] += 1
        self.damaged[event["name"]] += "damaged" in event


def decoder_of(plan: Plan) -> EventDecoder:
    """Return what decodes the events of a recipe."""
    declarations = [event.declaration() for event in plan.loaded.recipe.events]
    return EventDecoder(declarations, plan.names, plan.bpftrace.text_bytes)


def read_events(
    others: Iterable[tuple[str, Any]], plan: Plan, begun: Moment | None, clock: Moment
) -> tuple[list[Event], list[tuple[str, Any]], Tally]:
    """Return the events among what statements printed, in the order of their times, and what is left.

    :param begun: When the last probe was attached, where that is known.
    :param clock: A moment on both clocks.
    """
    decoder, tally = decoder_of(plan), Tally()
    found: list[DecodedEvent] = []
    left: list[tuple[str, Any]] = []
    for kind, data in others:
        if not is_of_events(kind, data):
            left.append((kind, data))
        elif (event := decoder.take(data)) is not None:
            found.append(event)
    events = [_as_captured(each, begun, clock) for each in sorted(found, key=lambda each: each.at_ns)]
    for captured in events:
        tally.add(captured)
    return events, left, tally


def event_problems(tables: Iterable[Table], tally: Tally) -> Iterator[Problem]:
    """Compare the events that arrived with those that the program counted."""
    for table in tables:
        name = table.get("events_of")
        if name is None:
            continue
        counted = sum(row["value"] for row in table["rows"])  # type: ignore[typeddict-item]
        missing = counted - tally.arrived[name]
        if missing > 0:
            yield problem("events-missing", missing, f"{name}: {missing} of {counted} events did not arrive")
        if tally.damaged[name]:
            yield problem(
                "events-damaged", tally.damaged[name], f"{name}: {tally.damaged[name]} events lost a part"
            )


class EventReader:
    """Takes events out of what a run prints, and hands each on as it comes."""

    def __init__(self, plan: Plan, on_event: Callable[[Event], None], *, is_kept: bool) -> None:
        """Have taken nothing yet.

        :param on_event: Called with each event.
        :param is_kept: What is printed stays in the recording.
        """
        self._taken: Taken = "kept" if is_kept else "taken"
        self._on_event = on_event
        self._decoder = decoder_of(plan)
        self._messages = Messages()
        self._reader = JsonReader(self._messages, plan.bpftrace.evidence)
        self._begun: Moment | None = None
        self.handed_on = Tally()

    def take(self, line: bytes, read_at_ns: int) -> Taken:
        """Take a line of an event, or of a piece of one."""
        if self._begun is None:
            # The first line says that the probes are attached.
            now = Moment.now()
            self._begun = Moment(read_at_ns, now.time_of(read_at_ns))
        if not line.startswith(_EVENTS):
            return "kept"
        try:
            self._reader.feed(line + b"\n")
            decoded = [self._decoder.take(data) for _, data in self._messages.others]
        except NotUnderstood:
            # A killed bpftrace has no time to finish its last line. Whoever decodes the rest says what it is.
            self._messages.others.clear()
            return "kept"
        self._messages.others.clear()
        for each in decoded:
            if each is not None:
                event = _as_captured(each, self._begun, self._begun)
                self.handed_on.add(event)
                self._on_event(event)
        return self._taken


def _as_captured(event: DecodedEvent, begun: Moment | None, clock: Moment) -> Event:
    made: Event = {
        "name": event.name,
        "time": rfc3339(clock.time_of(event.at_ns)),
        "time_seconds": None if begun is None else round((event.at_ns - begun.clock_ns) / 1e9, 6),
        "fields": event.fields,
    }
    if event.cut:
        made["cut"] = event.cut
    if event.damaged:
        made["damaged"] = event.damaged
    return made
