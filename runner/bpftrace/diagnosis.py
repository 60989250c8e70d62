"""From what bpftrace wrote on stderr to what is wrong and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.errors import EbpfRecipeError, HostRefused, TraceFailed


@dataclass(frozen=True, slots=True)
class _Pattern:
    name: str
    regex: re.Pattern[str]
    error: type[EbpfRecipeError]
    hint: str


def _pattern(name: str, regex: str, error: type[EbpfRecipeError], hint: str) -> _Pattern:
    return _Pattern(name, re.compile(regex, re.MULTILINE), error, hint)


_DOCTOR = "`ebpf-recipe doctor` says what this host lacks, and the command that mends it"
_AS_ROOT = "run it as root, or with --sudo"
MISTAKE_IN_RECIPE = "this is a mistake in the recipe's program; `--dry-run` prints it"

# The first that matches names the failure: causes stand before their consequences. The texts are those
# of bpftrace 0.17 to 0.27 and of the libraries that it prints through.
_PATTERNS: tuple[_Pattern, ...] = (
    _pattern("not-root", r"only supports running as the root user", HostRefused, _AS_ROOT),
    _pattern(
        "sudo",
        r"^sudo: |is not in the sudoers file|is not allowed to (execute|run)",
        HostRefused,
        "sudo must be allowed to run bpftrace, and, for bpftrace before 0.20, to set its variables (SETENV)",
    ),
    _pattern("missing-capability", r"Missing CAP_\w+ capability", HostRefused, _AS_ROOT),
    _pattern(
        "lockdown",
        r"Kernel lockdown is enabled",
        HostRefused,
        "kernel lockdown 'confidentiality' forbids tracing; boot with lockdown=integrity or none",
    ),
    _pattern(
        "kernel-too-old", r"lower than the minimum supported kernel", HostRefused, "use an older bpftrace"
    ),
    _pattern(
        "tracepoint-missing",
        r"tracepoint not found|tracepoint format file not found|No matches for tracepoint",
        HostRefused,
        "this kernel does not have the tracepoint, or tracefs is not mounted: "
        "mount -t tracefs tracefs /sys/kernel/tracing",
    ),
    _pattern(
        "kprobes-missing",
        r"kprobe_events\): No such file",
        HostRefused,
        "this kernel has no kprobes (CONFIG_KPROBE_EVENTS)",
    ),
    _pattern(
        "fentry-missing",
        r"(kfunc/kretfunc|fentry/fexit) not available|No matches for (fentry|fexit|kfunc|kretfunc)\b",
        HostRefused,
        "this kernel has no function tracer for BPF",
    ),
    _pattern(
        "probe-kind",
        r"Invalid probe type made it to attachpoint parser",
        HostRefused,
        "this bpftrace does not know that kind of probe: up to 0.19 fentry is kfunc, and begin is BEGIN",
    ),
    _pattern(
        "btf-missing",
        r"BTF data not available|BTF is required|[Nn]o BTF data for|BTF data for the tracepoint not found",
        HostRefused,
        "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)",
    ),
    _pattern(
        "helper-missing", r"BPF_FUNC_\w+ (is )?not available", HostRefused, "this kernel is too old for it"
    ),
    _pattern(
        "verifier",
        r"Error loading (BPF )?program|Unknown BPF object load failure|helper \w+ not allowed in probe"
        r"|Stack size is too large",
        TraceFailed,
        "the kernel's verifier refused the program. `--dry-run > p.bt` and `bpftrace -v p.bt` "
        "show where; fewer branches, shorter strings, shallower stacks or another bpftrace help",
    ),
    _pattern(
        "not-permitted",
        r"Operation not permitted|Permission denied",
        HostRefused,
        "as root it is a container, seccomp, AppArmor or lockdown that refuses; else run it as root",
    ),
    _pattern(
        "attach",
        r"Error attaching probe|Unable to attach probe|Attachment failed for all probes"
        r"|no valid attach points|No probes to attach|No matches for|Could not resolve symbol"
        r"|target file .* does not exist",
        TraceFailed,
        "the probe is not there or cannot be attached: look for it with `ebpf-recipe probes PATTERN`",
    ),
    _pattern(
        "too-many-probes",
        r"exceeds the current limit of \d+ (probes|BPF programs)",
        TraceFailed,
        "name fewer probes, without wildcards",
    ),
    _pattern(
        "too-many-files",
        r"Too many open files|Failed to create epollfd",
        TraceFailed,
        "raise the limit of open files (ulimit -n)",
    ),
    _pattern("memory", r"Cannot allocate memory", TraceFailed, "smaller maps: --max-map-keys"),
    _pattern(
        "unsafe", r"is an unsafe function being used in safe mode", TraceFailed, "let it do so with --unsafe"
    ),
    _pattern(
        "syntax",
        r"syntax error|ERROR: syntax: |unterminated string|invalid escape",
        TraceFailed,
        MISTAKE_IN_RECIPE,
    ),
    _pattern(
        "program",
        r"Unknown (function|identifier|builtin|struct)|Undefined (map|or undeclared)|Type mismatch"
        r"|Argument mismatch|does not contain a field|Can not access field|requires .* argument"
        r"|Cannot cast|Casts are not supported",
        TraceFailed,
        MISTAKE_IN_RECIPE,
    ),
    _pattern("internal", r"^(BUG|FATAL): ", TraceFailed, "bpftrace itself gave up; try another release"),
)

# Harmless, and printed at nearly every start.
_NOISE = re.compile(
    r"couldn't set RLIMIT_(MEMLOCK|NOFILE)"
    r"|Could not read (symbols|functions) from .*available_filter_functions"
    r"|Error while reading traceable functions|Addrspace (?:is not set|mismatch)|^HINT: |deprecated"
    # record() widens integers by adding a signed zero.
    r"|arithmetic on integers of different signs"
    # Pieces of events are values; what is said of maps does not concern them.
    r"|using 'print\(\)' in a loop",
)


_PLACE = re.compile(r"[^:\s]+:\d+(?::\d+)?-\d+: ")
_UNDERLINE = re.compile(r" *~+ *")


def pattern_names() -> list[str]:
    """Return the names of all failures that are told apart."""
    return [pattern.name for pattern in _PATTERNS]


def warnings_of(stderr: bytes) -> list[str]:
    """Return the lines of stderr that say something about the run."""
    kept = []
    is_within_noise = False
    for line in stderr.decode(errors="replace").splitlines():
        if _NOISE.search(line):
            # What has a place is followed by the line of the program and a line that underlines it.
            is_within_noise = _PLACE.match(line) is not None
        elif is_within_noise:
            is_within_noise = _UNDERLINE.fullmatch(line) is None
        elif line.strip():
            kept.append(line)
    return kept


def diagnose(exit_code: int | None, stderr: bytes, stdout: bytes = b"") -> EbpfRecipeError:
    """Return the error that says why bpftrace ended before it was ready.

    :param exit_code: Its exit code; negative for a signal.
    :param stdout: Searched too: `No probes to attach` and, since v0.24, warnings are printed there.
    """
    lines = warnings_of(stderr)
    text = "\n".join(lines)
    everything = text + "\n" + stdout.decode(errors="replace")
    for pattern in _PATTERNS:
        match = pattern.regex.search(everything)
        if match:
            # What the host lacks can be seen beforehand; the rest only here.
            is_seen_beforehand = pattern.error is HostRefused
            return pattern.error(
                f"bpftrace: {_line_of(everything, match)} [{pattern.name}]",
                hint=f"{pattern.hint}\n  {_DOCTOR}" if is_seen_beforehand else pattern.hint,
            )
    how = (
        f"was ended by signal {-exit_code}"
        if exit_code is not None and exit_code < 0
        else f"exit {exit_code}"
    )
    said = "\n".join(lines[-5:]) or "it said nothing"
    return TraceFailed(f"bpftrace ended before it was ready ({how}): {said}", hint=_DOCTOR)


_UNATTACHED = re.compile(
    # The first stands in the output of 0.21 to 0.23 (missing_probes is "warn"), the second since 0.24.
    r"^WARNING: (?:Error attaching probe|Unable to attach probe): '?([^\s']+?)'?(?:\. Skipping\.)?$",
    re.MULTILINE,
)
_LOST_IN_ALL = re.compile(r"^WARNING: Total lost event count: (\d+)$", re.MULTILINE)
_LOST_STACK = re.compile(r"failed to look up stack id", re.MULTILINE)


def unattached_probes(stderr: bytes) -> list[str]:
    """Return the probes that bpftrace went on without."""
    return _UNATTACHED.findall(stderr.decode(errors="replace"))


def lost_in_all(stderr: bytes) -> int:
    """Return how many things to print were lost in all (said since 0.24, at the end)."""
    return max(map(int, _LOST_IN_ALL.findall(stderr.decode(errors="replace"))), default=0)


def lost_stacks(stderr: bytes) -> int:
    """Return how many stacks were not there any more when they should have been printed."""
    return len(_LOST_STACK.findall(stderr.decode(errors="replace")))


def _line_of(text: str, match: re.Match[str]) -> str:
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    return text[start : end if end >= 0 else len(text)].strip()
