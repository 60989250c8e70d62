"""Fuzzes `decode`: any bytes are a capture that can be read again, or are refused with NotUnderstood.

Run by `make fuzz`. An input is the output of bpftrace, then what one script says behind a line of its own (SCRIPT),
then the bytes that choose format, release, script and the size of chunks (CHOICES of them).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import random
import re
import sys
import tempfile
import time
import traceback
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    import atheris  # type: ignore[import-not-found,unused-ignore]

    instrumented: Any = atheris.instrument_imports(include=["runner"])
else:
    instrumented = contextlib.nullcontext()

with instrumented:
    import orjson

    from runner.bpftrace.script import Script
    from runner.capture.encode import encode_capture
    from runner.capture.read import read_capture
    from runner.capture.stream import MessageFile, encode_line, encode_message
    from runner.decode import Decoder
    from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.capture.document import Capture

CORPUS = Path(__file__).parent / "corpus"
SCRIPT = b"\n%script%\n"
CHOICES = 8
FORMS = (None, "json", "text")
VERSIONS = (None, *((0, minor, 0) for minor in range(14, 28)))
SCRIPTS = (
    None,
    "BEGIN { @m[comm, pid] = count(); @h = hist(1); @s[kstack] = sum(1); @t = tseries(1, 1s, 5); }",
    "p:x { @m = count(); @h[comm, comm, pid] = lhist(1, 0, 9, 1); @s = stats(1); @a[$k] = avg(1); }",
    "p:x { @[kstack(3), ustack, comm] = count(); @m[1, 2] = 3; @h[(1, 2)] = max(4); @s = (1, 2); }",
)

TEXTS = (
    (
        b"Attaching 1 probe...\n@m[nginx, 5]: 1\n@m[a b, 6]: 2\n\n\n@h[x]: \n[0]    2 |@@@@|\n[1, 2)    1 |@@  |\n"
        b"[512, 1K)  9 |@@@@@|\n[1G, ...)   1 |@|\n"
    ),
    (
        b"Attached 2 probes\n@s[a]: { .count = 2, .average = -5, .total = -11 }\n@h:\n(..., 0)   1 |@ |\n[0, 2)   1 |@ |\n"
        b"@k[\n    vfs_read+12\n    ksys_read+3\n, a]: 1\n@u:\n        main+5\n        f(int)@/a.c:7\n"
    ),
    (
        b"@t:\n          0                                   9\nhh:mm:ss |____________________|\n12:00:01 |   *   | 5\n"
        b"12:00:02 *       | -\n          v_____v\n@a: count 2, average 1, total 3\nLost 7 events\n"
    ),
    (
        b"stdin:1:20-29: WARNING: Map full; can't update element. Try increasing max_map_keys config\n"
        b"Additional Info - helper: map_update_elem, retcode: -7\n@a[1] = 1;\n           ~~~~~~~~~\n@a[1]: 1\n@b: \n@p[2]: 0xff@p[3]: 0xfe"
    ),
    (
        b'{"type": "tseries", "data": {"@t": [{"interval_start": "2026-01-01 00:00:00", "value": 5}]}}\n'
        b'{"type": "map", "data": {"@s": { "a": 0, "b": "x" }, "@m": {"\\uffffffc3,\\n    f+1\\n": 18446744073709551615}}}\n'
        b'{"type": "stats", "data": {"@s": {"a": {"count": 1, "average": 2, "total": 2}}}}\n'
        b'{"type": "lost_events", "data": {"events": 5}}\nsomebody else\n{"type": "value", "data": ["@m", [1, "a"], 2]}\n'
    ),
)
"""Shapes that tests/corpus, which is JSON of three releases, does not have."""

TOKENS = (
    '{"type": "map", "data": {"@', '{"type": "hist", "data": {"@', '{"type": "stats", "data": {"@',
    '{"type": "tseries", "data": {"@', '{"type": "printf", "data": "', '{"type": "value", "data": ',
    '{"type": "time", "data": "', '{"type": "lost_events", "data": {"events": ', '{"type": "attached_probes", "data": ',
    '{"type": "helper_error", "msg": "', '{"type": "runtime_error", "msg": "', '"retcode": -7', '"helper": "', '"count": ',
    '"min": ', '"max": ', '"total": ', '"average": ', '"interval_start": ', '"value": ', "}, {", "},{", "}}\n", "]}}\n", '"}\n',
    '": ', '", "', "\\uffffffc3", "\\ud800", "\\u0001", "\\n    f+1\\n", "\\\\n        f+1\\\\n", "null", "NaN", "1e5", "-1",
    "18446744073709551615", "9" * 30, "@m[", "@m: ", "@m:\n", "]: ", "]:", "]:\n", "Attaching 1 probe...\n",
    "Attached 1 probe\n", "Lost 5 events\n", "[0]   1 |@@@|\n", "[512, 1K)    2 |@|\n", "(..., 0)   1 |@|\n",
    "[1G, ...)   1 |@|\n", "count 1, average 2, total 3", "{ .count = 1, .average = 2, .total = 3 }", "        f+1\n",
    "\tffffffff81000000 f+1 (/bin/a)\n", "\n    f+1\n", "a:1:1-2: WARNING: ", "a:1:1-2: ERROR: ",
    "Additional Info - helper: f, retcode: -1", "Failed to f: g (-1)", "  ~~~\n", "hh:mm:ss |__|\n",
    "12:00:00 |  *  | 5\n", "<no data>", ", ", "\n\n\n", "\r\n", "\x1b[31m", "ebpf-recipe/rendered/v1 ",
    "%script%\n", "p:x { @m[", "] = count(); }", "] = hist(1); }", "BEGIN {", "$x", "/*", "*/", "//", '"', "\\",
)  # fmt: skip
"""What bpftrace prints, and what scripts have."""


class Broken(AssertionError):
    """What `decode` promises does not hold."""


class _Bytes:
    """What `read_capture` needs of a path."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def open(self, mode: str) -> io.BytesIO:
        assert mode == "rb"
        return io.BytesIO(self._raw)


def pieces(data: bytes, draw: random.Random) -> Iterator[bytes]:
    """Cut data at random places, mostly near each other."""
    longest, place = draw.choice((1, 3, 17, 200, 5000)), 0
    while place < len(data):
        end = place + draw.randrange(1, longest + 1)
        yield data[place:end]
        place = end


def examine(
    data: bytes,
    *,
    form: Any = None,
    version: tuple[int, int, int] | None = None,
    script: Script | None = None,
    seed: int = 0,
) -> Capture | None:
    """Decode an output in one piece and in many; return its capture, or None where it was refused.

    :raises Broken: The two differ, or a capture cannot be written and read.
    """
    found: list[Any] = []
    capture: Capture | None = None
    for chunks in ([data], pieces(data, random.Random(seed))):  # noqa: S311
        decoder = Decoder(form=form, version=version, script=script)
        try:
            for chunk in chunks:
                decoder.feed(chunk)
            capture = decoder.capture()
        except NotUnderstood as error:
            if not error.message:
                raise Broken("refused without a reason") from error
            found.append(f"refused: {error.message}")
            capture = None
            continue
        raw = encode_capture(capture)
        document = orjson.loads(raw)
        try:
            read_capture(_Bytes(raw))  # type: ignore[arg-type]
        except NotUnderstood as error:
            raise Broken(f"its capture cannot be read: {error.message}") from error
        _check_pieces(capture, document)
        found.append({name: value for name, value in document.items() if name not in ("id", "run_id")})
    if found[0] != found[1]:
        raise Broken(f"one chunk and many differ: {_difference(*found)}")
    return capture


def _check_pieces(capture: Capture, document: Any) -> None:
    """Check what is written while messages come: `decode` to a file, and `-f jsonl`."""
    if orjson.loads(encode_line(capture)) != document:
        raise Broken("a line of JSON lines is another document")
    with closing(MessageFile()) as messages:
        for message in capture["messages"]:
            orjson.loads(encode_message(message))
            messages.append(message)
        streamed = b"".join(messages.encode({**capture, "messages": []}))
    if orjson.loads(streamed) != document:
        raise Broken("the document written piece by piece is another one")


def _difference(first: Any, second: Any) -> str:
    if isinstance(first, dict) and isinstance(second, dict):
        return "; ".join(
            f"{name}: {str(first[name])[:200]} / {str(second[name])[:200]}"
            for name in first
            if first[name] != second[name]
        )
    return f"{str(first)[:200]} / {str(second)[:200]}"


def examine_script(text: str) -> Script:
    """Read a script, and all that can be asked of it."""
    script = Script(text)
    orjson.dumps(script.program)
    begin = script.begin()
    if begin is not None and text[begin - 1] != "{":
        raise Broken("BEGIN does not begin behind a brace")
    for use in script.maps.values():
        _ = use.may_hold_text
        if use.columns and use.parts is not None and len(use.columns) != use.parts:
            raise Broken(f"{use.parts} parts, and columns {use.columns}")
    _ = script.has_probes, script.prints_maps_at_the_end, script.has_paths_of_groups
    return script


def examine_input(data: bytes) -> None:
    """Take an input of the fuzzer apart, and examine what it stands for."""
    if len(data) < CHOICES:
        return
    data, choices = data[:-CHOICES], data[-CHOICES:]
    output, _, said = data.partition(SCRIPT)
    own = examine_script(said.decode(errors="surrogateescape")) if said else None
    fixed = SCRIPTS[choices[2] % len(SCRIPTS)]
    script = own if own is not None else Script(fixed) if fixed is not None else None
    examine(
        output,
        form=FORMS[choices[0] % len(FORMS)],
        version=VERSIONS[choices[1] % len(VERSIONS)],
        script=script,
        seed=int.from_bytes(choices[3:], "little"),
    )


def signature(error: BaseException) -> str:
    """Return what is the same for two inputs that show one bug."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/runner/" in frame.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "fuzz"
    what = re.sub(r"[^a-z ]+", "#", str(error).lower())[:40]
    return f"{type(error).__name__} {where} {what}"


class _KeepGoing:
    """Keeps the smallest input of each bug, and goes on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[str, int] = {}

    def __call__(self, data: bytes) -> None:
        try:
            examine_input(data)
        except Exception as error:  # noqa: BLE001  # every bug is one
            bug = signature(error)
            if len(data) >= self._sizes.get(bug, sys.maxsize):
                return
            self._sizes[bug] = len(data)
            name = hashlib.sha256(bug.encode()).hexdigest()[:12]
            (self._folder / name).write_bytes(data)
            (self._folder / f"{name}.txt").write_text(
                f"{bug}\n{data!r}\n{''.join(traceback.format_exception(error))}", errors="backslashreplace"
            )


def write_seeds(folder: Path) -> None:
    """Write the corpus, and what it lacks, with choices of every kind."""
    draw = random.Random(1)  # noqa: S311
    outputs = [path.read_bytes() for path in sorted(CORPUS.rglob("*.out"))]
    scripts = [text.encode() for text in SCRIPTS if text is not None]
    for number, output in enumerate([*outputs, *TEXTS] * 3):
        said = SCRIPT + draw.choice(scripts) if draw.random() < 1 / 3 else b""
        (folder / f"seed-{number}").write_bytes(output[:3000] + said + draw.randbytes(CHOICES))


def write_dictionary(path: Path) -> None:
    """Write TOKENS as libFuzzer reads them."""
    escaped = ("".join(f"\\x{byte:02x}" for byte in token.encode()) for token in TOKENS)
    path.write_text("".join(f'"{token}"\n' for token in escaped))


def main() -> None:
    """Fuzz for a while, or run inputs again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--folder", type=Path, help="where inputs are kept, from one run to the next")
    parser.add_argument("--keep-going", action="store_true", help="keep one input of each bug, and go on")
    parser.add_argument("inputs", nargs="*", type=Path, help="inputs to run again")
    given = parser.parse_args()
    if given.inputs:
        for path in given.inputs:
            examine_input(path.read_bytes())
        return
    folder = given.folder or Path(tempfile.gettempdir()) / "ebpf-recipe-fuzz"
    grown, seeds, bugs = (folder / name for name in ("grown", "seeds", "bugs"))
    for each in (grown, seeds, bugs):
        each.mkdir(parents=True, exist_ok=True)
    write_seeds(seeds)
    write_dictionary(folder / "dictionary")
    target: Callable[[bytes], None] = _KeepGoing(bugs) if given.keep_going else examine_input
    options = [
        f"-dict={folder / 'dictionary'}", f"-artifact_prefix={bugs}/", f"-max_total_time={given.seconds}",
        "-max_len=4096", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1",
    ]  # fmt: skip
    print(f"fuzzing for {given.seconds} s from {time.strftime('%H:%M:%S')}; bugs go to {bugs}", flush=True)
    atheris.Setup([sys.argv[0], *options, str(grown), str(seeds)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
