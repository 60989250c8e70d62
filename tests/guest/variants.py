"""A recipe in a variant that this kernel would not choose: rendered for a host that lacks some of its probes."""

import json

from tests.command import ebpf_recipe
from tests.kernel.recipes import Run
from tests.laboratory.rendered import trace_beside

LIMIT_SECONDS = 120


def run_without(kinds, recipe, *arguments, bpftrace, command, folder):
    """Run a recipe as on a kernel without probes of these kinds, around a command.

    bpftrace alone runs it, for the runner takes what this host has.
    """
    facts, program, output = (folder / name for name in ("facts.json", "program.bt", "output"))

    def call(*words):
        done = ebpf_recipe(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    document = json.loads(call("render", recipe, "--facts", "--bpftrace", bpftrace))
    document["probes"] = {
        probe: None if probe.partition(":")[0] in kinds else fields
        for probe, fields in document["probes"].items()
    }
    facts.write_text(json.dumps(document))
    program.write_text(call("render", recipe, *arguments, "--host", str(facts)))
    trace_beside(bpftrace, program, output, command, LIMIT_SECONDS)
    return Run(json.loads(call("decode", str(output), "-f", "json")))
