"""docs/startup.md: the figures as a page."""

from benchmarks.startup_recipes.causes import COMPILER, FILES, PARSES
from benchmarks.startup_recipes.figures import Figures, Stored

GOAL_SECONDS = 0.25
"""What our command may take more than bpftrace alone."""

HEAD = """\
# How long it takes until the probes are attached

`make startup` wrote this page. Each recipe is started again and again with each bpftrace, in turn with
bpftrace alone; a figure is the median, in seconds from the start of the command until all are attached.
`make startup RECIPES="runqlat syscount"` measures some, and leaves what is stored of the others. A recipe
that this machine has no probes for is not here.

- **ours**: `ebpf-recipe run RECIPE`, until the capture's `attached_at`; its Python modules are compiled, as
  an installation leaves them.
- **alone**: bpftrace with the program that `--dry-run` prints, until the first line that it prints is read.
- **more**: the difference, of which **Python** is what passes until our command starts bpftrace; **added**
  is what the probes take that are added to each program: bpftrace ends with the runner, and at a limit.
- **nothing**, **attach**, **program**: what bpftrace alone takes for a program without probes, how much more
  for the recipe's probes with empty bodies, and how much more for what is in them.
"""

COLUMNS = ["ours", "alone", "more", "Python", "added", "nothing", "attach", "program"]


def page(stored: Stored) -> str:
    """Return the page."""
    figures = stored["figures"]
    parts = [HEAD, f"{stored['machine']}; {stored['rounds']} rounds.\n", _goal(figures)]
    for release in sorted({each["bpftrace"] for each in figures}, key=_numbers):
        own = sorted(
            (each for each in figures if each["bpftrace"] == release), key=lambda each: each["recipe"]
        )
        parts += [f"## bpftrace {release}\n", _table(own), _causes(own)]
    return "\n".join(part for part in parts if part)


def _numbers(release: str) -> list[int]:
    return [int(part) for part in release.split(".")]


def _goal(figures: list[Figures]) -> str:
    over = [each for each in figures if round(each["ours"] - each["alone"], 2) > GOAL_SECONDS]
    most = max(figures, key=lambda each: each["ours"] - each["alone"])
    text = (
        f"Our command takes at most {most['ours'] - most['alone']:.2f} s more than bpftrace alone "
        f"({most['recipe']} with {most['bpftrace']}); the goal is {GOAL_SECONDS} s."
    )
    if over:
        names = ", ".join(f"{each['recipe']} with {each['bpftrace']}" for each in over)
        text += f" It is missed by {names}."
    return text + "\n"


def _table(figures: list[Figures]) -> str:
    titles = ["recipe", *COLUMNS, "probes", "measured"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for each in figures:
        seconds = (
            each["ours"],
            each["alone"],
            each["ours"] - each["alone"],
            each["started"],
            each["framed"] - each["alone"],
            each["nothing"],
            each["bodiless"] - each["nothing"],
            each["alone"] - each["bodiless"],
        )
        cells = " | ".join(f"{second:.2f}" for second in seconds)
        lines.append(f"| {each['recipe']} | {cells} | {each['probes']} | {each['date']} |")
    return "\n".join(lines) + "\n"


def _causes(figures: list[Figures]) -> str:
    """Say what takes bpftrace's time, where it was looked at."""
    seen = [each for each in figures if each["causes"] is not None]
    if not seen:
        return ""
    lines = ["What bpftrace does meanwhile, as strace saw it:\n"]
    lines += ["| what | least | most | of which recipe |", "|---|---|---|---|"]
    named = {name: f"reads {what} (`{name}`)" for name, what in FILES.items()}
    for name, what in {**named, PARSES: PARSES, COMPILER: COMPILER}.items():
        counts = [((each["causes"] or {}).get(name, 0), each["recipe"]) for each in seen]
        least, (most, recipe) = min(counts)[0], max(counts)
        lines.append(f"| {what} | {least} | {most} | {recipe if most > least else ''} |")
    return "\n".join(lines) + "\n"
