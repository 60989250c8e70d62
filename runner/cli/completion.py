"""Completion without the start-up of the whole command: what Typer answered once is kept and answers again.

The protocol is that of the scripts that `--install-completion` installs: variables in, lines out.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runner import __version__
from runner.cli.directories import named_directories
from runner.errors import EbpfRecipeError
from runner.recipe.catalogue import data_dir, own_directories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MOST_ANSWERS = 500

Candidate = tuple[str, str]
"""What may be typed, and its help."""


def complete(run_app: Callable[[], None], variable: str) -> int | None:
    """Answer a shell that asks for completion; None where none asks.

    :param run_app: Runs the application, which answers in fish's form: value, tab, help.
    :param variable: The one by which it asks.
    :returns: The exit code.
    """
    asked = os.environ.get(variable, "")
    shell = asked.removeprefix("complete_")
    if not asked.startswith("complete_") or shell not in _FORMS:
        return None
    words, incomplete = _request(shell)
    kind = "-" if incomplete.startswith("-") else ""
    stamp, path = _stamp(words), _cache()
    answers = _read(path, stamp)
    key = json.dumps([*words, kind])
    if key not in answers:
        answers[key] = _ask(run_app, variable, words, kind)
        _write(path, stamp, answers)
    return _FORMS[shell]([(value, text) for value, text in answers[key] if value.startswith(incomplete)])


def _request(shell: str) -> tuple[list[str], str]:
    """Return the words before the cursor, the command left out, and the word at it."""
    if shell == "bash":
        words = _split(os.environ.get("COMP_WORDS", ""))
        place = int(os.environ.get("COMP_CWORD", "0") or 0)
        return words[1:place], words[place] if place < len(words) else ""
    line = os.environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    if words and not line.endswith(" "):
        return words[:-1], words[-1]
    return words, ""


def _split(line: str) -> list[str]:
    """Split as a shell does, a quotation that is not closed yet included."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        words.append(lexer.token)
    return words


def _ask(run_app: Callable[[], None], variable: str, words: list[str], kind: str) -> list[Candidate]:
    line = f"{shlex.join(['ebpf-recipe', *words])} {kind}"
    asked = {
        variable: "complete_fish", "_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }  # fmt: skip
    os.environ.update(asked)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit, EbpfRecipeError):
        run_app()
    parts = (line.partition("\t") for line in said.getvalue().splitlines() if line)
    return [(value, text) for value, _, text in parts]


def _stamp(words: list[str]) -> str:
    """Return what changes where another answer might be right."""
    named, _ = named_directories(words)
    own = [directory / "recipes" for directory in [*named, *(each for _, each in own_directories())]]
    roots = [data_dir("recipes"), *own]
    paths = [path.absolute() for root in roots for path in sorted(root.glob("*/*.yaml"))]
    # A runbook is named by its file.
    paths += [
        Path(word).absolute() for word in words if word.endswith((".yaml", ".yml")) and Path(word).is_file()
    ]
    files = [f"{path}:{path.stat().st_mtime_ns}" for path in paths]
    return "\n".join([__version__, sys.executable, str(Path(__file__).stat().st_mtime_ns), *files])


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # never raises
    return Path(base) / "ebpf-recipe" / "completion.json"


def _read(path: Path, stamp: str) -> dict[str, list[Candidate]]:
    try:
        document = json.loads(path.read_bytes())
        if document["stamp"] != stamp:
            return {}
        return {
            key: [(str(value), str(text)) for value, text in answer]
            for key, answer in document["answers"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(path: Path, stamp: str, answers: dict[str, list[Candidate]]) -> None:
    newest = dict(list(answers.items())[-_MOST_ANSWERS:])
    # Without a place to keep it the next answer takes as long as this one did.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps({"stamp": stamp, "answers": newest}))
        beside.replace(path)


def _bash(candidates: Iterable[Candidate]) -> int:
    print("\n".join(value for value, _ in candidates))
    return 0


def _zsh(candidates: list[Candidate]) -> int:
    if candidates:
        items = "\n".join(f'"{_zsh_quoted(value)}":"{_zsh_quoted(text)}"' for value, text in candidates)
        print(f"_arguments '*: :(({items}))'")
    else:
        print("_files")
    return 0


def _zsh_quoted(text: str) -> str:
    for character, escaped in (('"', '""'), ("'", "''"), ("$", "\\$"), ("`", "\\`"), (":", "\\\\:")):
        text = text.replace(character, escaped)
    return text


def _fish(candidates: list[Candidate]) -> int:
    if os.environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return 0 if candidates else 1
    print("\n".join(f"{value}\t{text}" if text else value for value, text in candidates))
    return 0


_FORMS: dict[str, Callable[[list[Candidate]], int]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
