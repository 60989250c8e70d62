"""The directory of a case: its plan, every capture and program, the log of decisions, what is concluded.

plan.json, host.json, captures/STEP.json (STEP.failed.json where there is none, and why), programs/STEP.bt,
log.jsonl, case.json.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter, ValidationError

from runner.capture.read import read_capture
from runner.capture.whole_file import read_whole
from runner.errors import NotUnderstood, NotWritten, ValueRefused
from runner.workflow.clock import now
from runner.workflow.documents import Case, Plan
from runner.workflow.plan_check import mistake_in
from runner.workflow.planning import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runner.capture.document import Capture
    from runner.workflow.documents import PlannedStep

_BEGIN_NEW = "it is damaged: begin a new case"
_MOST_BYTES = 1 << 26
"""No plan and no conclusions come near."""

_SKELETON = frozenset({".lock", "captures", "programs", "host.json", ".host.json.new", ".plan.json.new"})
"""What a case has before its plan: somebody was interrupted there, and nothing was measured."""

_INDENTED = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


class CaseFolder:
    """One case on disk."""

    def __init__(self, path: Path) -> None:
        """Name the directory; nothing is read yet."""
        self.path = path
        self.captures = path / "captures"

    @property
    def has_plan(self) -> bool:
        """Whether there is a case in it."""
        return (self.path / "plan.json").exists()

    def create(self) -> None:
        """Make the directory for a new case.

        :raises ValueRefused: Something is in it.
        :raises NotWritten: It cannot be made.
        """
        try:
            if self.has_plan:
                raise ValueRefused(
                    f"--case {self.path}: it holds a case already",
                    hint=f"ebpf-recipe investigate --resume --case {self.path}; or name a new directory",
                )
            if self.path.exists() and not self._is_unbegun():
                raise ValueRefused(
                    f"--case {self.path}: it is no empty directory", hint="name a new one: it is made"
                )
            for folder in (self.path, self.captures, self.path / "programs"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._not_written(error) from error

    def _is_unbegun(self) -> bool:
        """Whether it is a directory that nothing is in, but for what a case has before its plan."""
        if not self.path.is_dir():
            return False
        inside = list(self.path.iterdir())
        return {each.name for each in inside} <= _SKELETON and not any(
            any(each.iterdir()) for each in inside if each.is_dir()
        )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Have it for ourselves.

        :raises ValueRefused: Somebody else works on it.
        """
        try:
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._not_written(error) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ValueRefused(
                    f"--case {self.path}: another investigation works on it", hint="wait until it has ended"
                ) from error
            yield
        finally:
            os.close(descriptor)

    def write(self, name: str, document: Any) -> None:
        """Write a document as JSON; the same one is the same bytes."""
        self._replace(name, orjson.dumps(document, option=_INDENTED))

    def write_text(self, name: str, text: str) -> None:
        """Write a text."""
        self._replace(name, text.encode(errors="backslashreplace"))

    def read_plan(self) -> Plan:
        """Return the plan.

        :raises ValueRefused: There is no case in the directory.
        :raises NotUnderstood: It is none of this version, or damaged.
        """
        found = self._read("plan.json", "there is no case in it (no plan.json)")
        schema = found.get("schema") if isinstance(found, dict) else None
        if schema != SCHEMA:
            raise NotUnderstood(
                f"{self.path / 'plan.json'}: its schema is {schema!r}, this release reads {SCHEMA}",
                hint="use the release that made it, or begin a new case",
            )
        try:
            plan: Plan = TypeAdapter(Plan).validate_python(found)
        except ValidationError as error:
            raise self._damaged("plan.json", error) from error
        mistake = mistake_in(plan)
        if mistake is not None:
            raise NotUnderstood(f"{self.path / 'plan.json'}: {mistake}", hint=_BEGIN_NEW)
        return plan

    def check_ours(self) -> None:
        """Refuse to run what somebody else may have written: a plan names the bpftrace and its arguments.

        :raises ValueRefused: The case is another user's, or everybody may write to it.
        """
        for path in (self.path, self.captures, self.path / "plan.json"):
            try:
                found = path.stat(follow_symlinks=path == self.path)
            except OSError as error:
                raise NotUnderstood(f"{path}: {error.strerror}", hint=_BEGIN_NEW) from error
            if found.st_uid != os.geteuid() or (found.st_mode & stat.S_IWOTH) or stat.S_ISLNK(found.st_mode):
                raise ValueRefused(
                    f"{path}: it is another user's, a link, or everybody may write to it; "
                    "what it says would be run with your privilege",
                    hint="--replay repeats its conclusions; where you trust it: chown and chmod it",
                )

    def read_case(self) -> tuple[Case, bytes] | None:
        """Return what was concluded, and the bytes of it; None where nothing was.

        :raises NotUnderstood: It is damaged.
        """
        path = self.path / "case.json"
        if not _is_there(path):
            return None
        found = self._read("case.json", "it is gone")
        try:
            case: Case = TypeAdapter(Case).validate_python(found)
        except ValidationError as error:
            raise self._damaged("case.json", error) from error
        return case, path.read_bytes()

    def capture_path(self, step: PlannedStep) -> Path:
        """Return where the capture of a step goes."""
        return self.captures / f"{step['name']}.json"

    def capture_of(self, step: PlannedStep) -> Capture | None:
        """Return the capture of a step, where there is one.

        :raises NotUnderstood: It is damaged.
        """
        path = self.capture_path(step)
        if not _is_there(path):
            return None
        if not path.is_file():
            raise NotUnderstood(f"{path}: it is no file", hint=_BEGIN_NEW)
        capture = read_capture(path)
        recipe = capture["recipe"]
        if recipe is None or recipe["id"] != step["recipe"]:
            of = "no recipe" if recipe is None else f"the recipe {recipe['id']!r}"
            raise NotUnderstood(f"{path}: it is a capture of {of}, not of {step['recipe']}", hint=_BEGIN_NEW)
        return capture

    def is_run(self, step: PlannedStep) -> bool:
        """Whether a step has all that it will have: a capture, or why there is none.

        :raises NotUnderstood: Its capture is damaged.
        """
        return self.capture_of(step) is not None or self.failure_of(step) is not None

    def failure_of(self, step: PlannedStep) -> str | None:
        """Return why a step has no capture; None where it was not tried."""
        path = self.captures / f"{step['name']}.failed.json"
        if not _is_there(path):
            return None
        found = self._read(f"captures/{path.name}", "it is gone")
        return str(found.get("why")) if isinstance(found, dict) else "not known"

    def keep_failure(self, step: PlannedStep, why: str, exit_code: int | None, stderr: str) -> None:
        """Keep why a step has no capture."""
        document = {"why": why, "exit_code": exit_code, "stderr": stderr}
        self.write(f"captures/{step['name']}.failed.json", document)

    def keep_program(self, step: PlannedStep, capture: Capture) -> None:
        """Keep the text of the program that was run."""
        program = capture["program"]
        text = None if program is None else program.get("text")
        if isinstance(text, str):
            self.write_text(f"programs/{step['name']}.bt", text)

    def taken(self, steps: Sequence[PlannedStep]) -> list[tuple[PlannedStep, Capture]]:
        """Return the captures that there are, each with its step."""
        found = [(step, self.capture_of(step)) for step in steps]
        return [(step, capture) for step, capture in found if capture is not None]

    def log(self, what: str, why: str, **more: Any) -> None:
        """Add a decision to the log."""
        line = {"time": now()}
        try:
            with (self.path / "log.jsonl").open("ab") as file:
                file.write(orjson.dumps({**line, "what": what, "why": why, **more}) + b"\n")
        except OSError as error:
            raise self._not_written(error) from error

    def _replace(self, name: str, data: bytes) -> None:
        path = self.path / name
        beside = path.with_name(f".{path.name}.new")
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError as error:
            raise self._not_written(error) from error

    def _read(self, name: str, missing: str) -> Any:
        path = self.path / name
        try:
            if path.exists() and not path.is_file():
                raise ValueRefused(f"{path}: it is no file")
            return orjson.loads(read_whole(path, _MOST_BYTES))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ValueRefused(
                f"{self.path}: {missing}",
                hint="`ebpf-recipe investigate SYMPTOM --case DIR` begins one",
            ) from error
        except OSError as error:
            raise ValueRefused(f"{path}: {error.strerror}") from error
        except orjson.JSONDecodeError as error:
            raise NotUnderstood(f"{path} is no JSON: {error}", hint=_BEGIN_NEW) from error

    def _damaged(self, name: str, error: ValidationError) -> NotUnderstood:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return NotUnderstood(f"{self.path / name}: {where}: {first['msg']}", hint=_BEGIN_NEW)

    def _not_written(self, error: OSError) -> NotWritten:
        return NotWritten(
            f"{error.filename or self.path}: {error.strerror}", hint="--case DIR, where there is room"
        )


def _is_there(path: Path) -> bool:
    """Whether there is something.

    :raises ValueRefused: That may not be looked at.
    """
    try:
        return path.exists()
    except OSError as error:
        raise ValueRefused(f"{path}: {error.strerror}") from error
