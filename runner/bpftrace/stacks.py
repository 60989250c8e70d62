"""Stacks as bpftrace prints them, in each of its modes, as frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.bpftrace.repair import as_bytes
from runner.capture.encode import encode_text

if TYPE_CHECKING:
    from runner.capture.document import Frame, Stack, TextBytes

# perf: address, symbol and offset, and of user stacks the module. Keys of 0.24 and later lose the space;
# an address of the kernel (x86-64, aarch64) has all of its 16 digits, so that it ends where it ends.
_PERF = re.compile(r"\t(?:(?P<address>[0-9a-f]+) |(?P<kernel>ffff[0-9a-f]{12}))(?P<text>.*)")
_MODULE = re.compile(r"(?P<text>.*) \((?P<module>[/\[].*)\)")
_UNKNOWN_MODULE = "[unknown]"
# build_id (since 0.25): the module by its id, and the offset in it.
_BUILD_ID = re.compile(r"(?P<build_id>[0-9a-f]{40}) 0x(?P<offset>[0-9a-f]{1,15})")
# raw (since 0.18): the address alone.
_RAW = re.compile(r"[0-9a-f]+")
# bpftrace: symbol and offset; since 0.24 the line of the source, where it is known.
_SOURCE = re.compile(r"(?P<text>.*\+\d+|[^@]+)@(?P<source>/.*):(?P<line>\d{1,18})")
_OFFSET = re.compile(r"(?P<symbol>.*)\+(?P<offset>\d{1,18})")
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_LONGEST = 4096
"""A line that is longer is one symbol: no release prints such."""

_INLINED = "[inlined] "
_INLINED_PERF = " (inlined)"


def decode_stack(printed: str) -> Stack:
    """Return the frames of a printed stack, innermost first; none of a stack that was not there.

    The mode (bpftrace, perf, raw, build_id) is known by the form of each line.
    """
    return [_frame(line) for line in printed.split("\n") if line.strip()]


def _frame(line: str) -> Frame:
    if len(line) > _LONGEST:
        return {"symbol": _text(line.strip())}
    perf = _PERF.fullmatch(line)
    if perf is not None:
        return _perf_frame(perf["address"] or perf["kernel"], perf["text"])
    text = line.strip()
    build = _BUILD_ID.fullmatch(text)
    if build is not None:
        return {"build_id": build["build_id"], "offset": int(build["offset"], 16)}
    if line == text and _RAW.fullmatch(text):
        return {"address": f"0x{text}"}
    if _ADDRESS.fullmatch(text):
        return {"address": text}
    frame: Frame = {}
    if text.startswith(_INLINED):
        text = text.removeprefix(_INLINED)
        frame["inlined"] = True
    source = _SOURCE.fullmatch(text)
    if source is not None:
        text = source["text"]
        frame["source"], frame["line"] = _text(source["source"]), int(source["line"])
    return _with_symbol(frame, text)


def _perf_frame(address: str, text: str) -> Frame:
    frame: Frame = {"address": f"0x{address}"}
    module = _MODULE.fullmatch(text)
    if module is not None:
        text = module["text"]
        if module["module"] != _UNKNOWN_MODULE:
            frame["module"] = _text(module["module"])
    if text.endswith(_INLINED_PERF):
        text = text.removesuffix(_INLINED_PERF)
        frame["inlined"] = True
    return frame if _ADDRESS.fullmatch(text) else _with_symbol(frame, text)


def _with_symbol(frame: Frame, text: str) -> Frame:
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        text = offset["symbol"]
        frame["offset"] = int(offset["offset"])
    frame["symbol"] = _text(text)
    return frame


def _text(printed: str) -> str | TextBytes:
    return encode_text(as_bytes(printed))
