"""`ebpf-recipe investigate`: from a symptom to its cause, or to what is known and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from runner.cli.options import BpftracePath
from runner.cli.print_case import Format, print_case, print_symptoms
from runner.cli.recipes_option import Recipes
from runner.cli.target_options import Cgroups, Comms, Containers, Pids, Pods, Threads
from runner.recipe.vocabulary import Symptom

if TYPE_CHECKING:
    from runner.cli.output import Destination
    from runner.workflow.case_folder import CaseFolder
    from runner.workflow.documents import Case, Plan
    from runner.workflow.planning import Asked

DEFAULT_BUDGET = "5%"
DEFAULT_SECONDS = "10s"
_MOST_DEPTH = 10
_LEAST_SECONDS = 1.0
_AS_ROOT = "start it as root: sudo ebpf-recipe investigate …; --replay needs no privilege"


def investigate(
    context: typer.Context,
    symptom: Annotated[
        str | None,
        typer.Argument(help=f"What is wrong. [{', '.join(get_args(Symptom))}]", show_default=False),
    ] = None,
    pid: Pids = None,
    comm: Comms = None,
    thread: Threads = None,
    cgroup: Cgroups = None,
    container: Containers = None,
    pod: Pods = None,
    slo: Annotated[
        str | None,
        typer.Option(
            metavar="OBJECTIVE", help="What is in time: 'p99 <= 10ms'. [default: that]", show_default=False
        ),
    ] = None,
    case: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="Where everything is kept: a new directory. [default: ./case-SYMPTOM-TIME]",
            show_default=False,
        ),
    ] = None,
    duration: Annotated[
        str, typer.Option("-d", "--duration", metavar="DURATION", help="How long each window is.")
    ] = DEFAULT_SECONDS,
    budget: Annotated[
        str,
        typer.Option(
            metavar="PERCENT",
            help="What the scan may take of all processors; what exceeds it is cut or left out.",
        ),
    ] = DEFAULT_BUDGET,
    depth: Annotated[
        str, typer.Option(metavar="N", help="How many hypotheses are followed into detail. [0 to 10]")
    ] = "2",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the case in --case DIR where it was interrupted.")
    ] = False,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="Repeat the conclusions of a case from its captures; nothing is traced.",
            show_default=False,
        ),
    ] = None,
    as_list: Annotated[bool, typer.Option("--list", help="List the symptoms and their hypotheses.")] = False,
    form: Annotated[
        Format, typer.Option("-f", "--format", help="auto: a table on a terminal, JSON elsewhere.")
    ] = Format.AUTO,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", readable=False, help="Write to a file.")
    ] = None,
    bpftrace: BpftracePath = None,
    recipes: Recipes = None,
) -> None:
    """Look for the cause of a symptom: scan, follow what leads, say what is established and what is not."""
    from runner.cli.output import Destination
    from runner.workflow.case_folder import CaseFolder

    del recipes
    if as_list:
        print_symptoms()
        return
    target = {
        "pid": pid,
        "comm": comm,
        "thread": thread,
        "cgroup": cgroup,
        "container": container,
        "pod": pod,
    }
    texts = {name: tuple(given) for name, given in target.items() if given}
    if replay is not None:
        if symptom is not None or texts or resume or case is not None:
            raise typer.BadParameter("--replay DIR says it all: no symptom, target, --case or --resume")
        _refuse_planned(context, "--replay DIR")
        _replay(CaseFolder(replay), form, Destination(output))
        return
    if resume:
        if case is None or symptom is not None or texts:
            raise typer.BadParameter(
                "--resume goes on with a case: it needs --case DIR, no symptom and no target"
            )
        _refuse_planned(context, "--resume")
        _resume(CaseFolder(case), form, Destination(output))
        return
    if symptom is None:
        raise typer.BadParameter("which SYMPTOM? `ebpf-recipe investigate --list` names them")
    asked = _asked(symptom, texts, slo, budget, duration, depth)
    destination = Destination(output)
    folder = CaseFolder(case if case is not None else _new_name(symptom))
    _begin(folder, asked, bpftrace, form, destination)


def _refuse_planned(context: typer.Context, mode: str) -> None:
    """Refuse options that stand in the plan of a case: what is given would have no effect.

    :raises BadParameter: One of them stands in the command line.
    """
    for name in ("slo", "duration", "budget", "depth", "bpftrace"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"{mode} does what plan.json of the case says: no --{name}")


def _asked(
    symptom: str, target: dict[str, tuple[str, ...]], slo: str | None, budget: str, duration: str, depth: str
) -> Asked:
    """Read what is asked for.

    :raises ValueRefused: A value is wrong.
    """
    from runner.cli.words import check_word
    from runner.errors import ValueRefused
    from runner.recipe.durations import parse_duration
    from runner.recipe.objective import DEFAULT_OBJECTIVE, parse_objective
    from runner.recipe.parameters import TARGET_FILTERS, parse_values
    from runner.recipe.shares import parse_share
    from runner.workflow.planning import Asked

    check_word("SYMPTOM", symptom, get_args(Symptom))
    if depth not in map(str, range(_MOST_DEPTH + 1)):
        raise ValueRefused(f"--depth {depth!r}: not a number from 0 to {_MOST_DEPTH}")
    for name, values in target.items():
        parse_values(name, TARGET_FILTERS[name], values)
        for value in values:
            # What is no UTF-8 stands as surrogates in argv, which no JSON has.
            if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
                raise ValueRefused(f"--{name} {value!r}: not UTF-8, so no case can say it", hint="--pid")
    seconds = parse_duration("--duration", duration)
    if seconds < _LEAST_SECONDS:
        raise ValueRefused(
            f"--duration {duration!r}: windows shorter than {_LEAST_SECONDS:g} s exclude nothing",
            hint="an investigation takes 10s for each unless told otherwise",
        )
    return Asked(
        symptom=symptom,
        target=target,
        objective=DEFAULT_OBJECTIVE if slo is None else parse_objective("--slo", slo),
        budget=budget,
        budget_share=parse_share("--budget", budget),
        seconds=seconds,
        depth=int(depth),
    )


def _new_name(symptom: str) -> Path:
    from datetime import UTC, datetime

    return Path(f"case-{symptom}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")


def _begin(
    folder: CaseFolder, asked: Asked, bpftrace: str | None, form: Format, destination: Destination
) -> None:
    import orjson

    from runner.bpftrace.version import ask_bpftrace
    from runner.cli.output import say
    from runner.doctor.examine import examine
    from runner.plan import check_privilege
    from runner.workflow.planning import make_plan

    check_privilege(_AS_ROOT)
    _check_target(asked)
    release = ask_bpftrace(bpftrace)()
    say(f"counting events for a moment, to keep within {asked.budget} of the processors")
    plan = make_plan(asked, release)
    host = orjson.loads(orjson.dumps(examine([], bpftrace=str(release.path))))
    folder.create()
    with folder.locked():
        folder.write("host.json", host)
        folder.write("plan.json", plan)
        for step in plan["scan"]:
            folder.log("planned", step.get("shortened", "the symptom asks for it"), step=step["name"])
        for each in plan["left_out"]:
            folder.log("left out", each["why"], recipe=each["recipe"])
            say(f"left out: {each['recipe']}: {each['why']}")
        _carry_out(folder, plan, form, destination)


def _check_target(asked: Asked) -> None:
    """Refuse a target that is not there: an empty case would read like a healthy one."""
    from runner.cli.output import say
    from runner.plan import absent_names, check_processes
    from runner.recipe.parameters import TARGET_FILTERS, parse_values

    values = {name: parse_values(name, TARGET_FILTERS[name], texts) for name, texts in asked.target.items()}
    check_processes(values.get("pid", ()))
    for name in absent_names(values.get("comm", ())):
        say(f"note: no process is called {name!r} now")


def _resume(folder: CaseFolder, form: Format, destination: Destination) -> None:
    import socket

    from runner.cli.output import say
    from runner.host import kernel
    from runner.plan import check_privilege
    from runner.workflow.investigate import check_same_boot

    plan = folder.read_plan()
    done = folder.read_case()
    if done is not None:
        say("the case is complete: nothing is left to be run")
        _end(folder, done[0], form, destination)
        return
    check_privilege(_AS_ROOT)
    folder.check_ours()
    check_same_boot(plan, socket.gethostname(), kernel.boot_id())
    with folder.locked():
        folder.log("resumed", "it was interrupted")
        _carry_out(folder, plan, form, destination)


def _carry_out(folder: CaseFolder, plan: Plan, form: Format, destination: Destination) -> None:
    from runner.cli.output import say
    from runner.errors import Interrupted, Terminated
    from runner.interrupts import Interrupts
    from runner.report.case import case_as_markdown
    from runner.workflow.investigate import carry_out

    with Interrupts() as signals:
        try:
            case = carry_out(folder, plan, signals, say)
        except (Interrupted, Terminated) as error:
            error.hint = f"go on with it: ebpf-recipe investigate --resume --case {folder.path}"
            raise
    folder.write_text("report.md", case_as_markdown(case))
    # The last of all: what has it is complete.
    folder.write("case.json", case)
    say(f"the case is kept in {folder.path}")
    _end(folder, case, form, destination)


def _end(folder: CaseFolder, case: Case, form: Format, destination: Destination) -> None:
    """Print what was concluded.

    :raises TraceFailed: It is nothing.
    """
    from runner.errors import TraceFailed
    from runner.workflow.investigate import TARGET_ENDED

    print_case(case, folder.path, form, destination)
    if any(each["why"] == TARGET_ENDED for each in case["not_measured"]):
        raise TraceFailed(
            f"{TARGET_ENDED}: what is concluded is of the time before",
            hint="--comm NAME or --cgroup PATH go on with what takes its place",
        )
    if case["verdict"] == "not-measured":
        raise TraceFailed(
            "nothing could be measured that decides any hypothesis", hint=f"{folder.path}/log.jsonl says why"
        )


def _replay(folder: CaseFolder, form: Format, destination: Destination) -> None:
    import orjson

    from runner.cli.output import say
    from runner.errors import ExitCode
    from runner.workflow.investigate import concluded

    plan = folder.read_plan()
    case = concluded(folder, plan)
    stored = folder.read_case()
    print_case(case, folder.path, form, destination)
    if stored is None:
        say("the case was not concluded: this is what its captures say so far")
        return
    made = orjson.dumps(case, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if made == stored[1]:
        say("the conclusions are those that were stored, byte for byte")
        return
    say("the conclusions are not those that were stored: a capture was changed, or another release made them")
    raise typer.Exit(ExitCode.NEGATIVE)
