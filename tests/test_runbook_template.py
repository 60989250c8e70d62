"""Values in a runbook's texts: quoted for a shell wherever they may stand, refused where that would be undone."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import ValueRefused
from runner.workflow.runbook.shell_text import misplaced_value
from runner.workflow.runbook.template import Expression, NotATemplate, Template
from runner.workflow.runbook.values import Measured, Values


def context(**parameters):
    return {
        "parameters": Values(parameters, lambda name: ValueRefused(f"there is no parameter {name}")),
        "steps": Values({}, lambda name: ValueRefused(f"the step {name} has not been run")),
    }


SAFE = [
    "printf %s {{ parameters.x }}",
    "printf %s a{{ parameters.x }}b",
    "printf %s 'it'{{ parameters.x }}\"s\"",
    'd=$(printf %s {{ parameters.x }}); printf %s "$d"',
    "f() { printf %s {{ parameters.x }}; }; f",
    "# a comment with ' in it\nprintf %s {{ parameters.x }}",
    'printf %s "$(echo)"{{ parameters.x }}',
    "printf %s \\\\{{ parameters.x }}",
    "echo $# a#b >/dev/null; printf %s {{ parameters.x }}",
    "printf %s ${HOME#*}{{ parameters.x }}",
]
UNSAFE = [
    ("echo '{{ parameters.x }}'", "inside quotation marks"),
    ('echo "{{ parameters.x }}"', "inside quotation marks"),
    ("echo \\{{ parameters.x }}", "behind \\"),
    ("echo ${{ parameters.x }}", "behind $"),
    ("echo # {{ parameters.x }}", "in a comment"),
    ("echo `{{ parameters.x }}`", "behind `"),
    ("cat <<E\n{{ parameters.x }}\nE", "behind <<"),
    ("echo $'\\'' {{ parameters.x }} '", "behind $'"),
    ('echo "$( " {{ parameters.x }} " )"', "behind $("),
    ("echo ${a:-'}'} {{ parameters.x }}", "behind ${"),
    ("echo ${a:- # '} {{ parameters.x }} '", "behind ${"),
]


@pytest.mark.parametrize("text", SAFE)
@pytest.mark.parametrize("value", ["a; id", "$(id)", "`id`", "' \" \\", "*", "a\nb", "-n", "#x", "é🚀"])
def test_a_value_arrives_as_it_is_wherever_it_may_stand(text, value):
    template = Template(text, is_shell=True)
    assert misplaced_value(template.pieces) is None
    script = template.render(context(x=value))
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    expected = {"a{": f"a{value}b", "'it": f"it{value}s", "\\\\": f"\\{value}"}
    wanted = next((out for mark, out in expected.items() if mark in text and "a#b" not in text), value)
    if text.startswith("printf %s ${HOME#"):
        assert done.stdout.decode().endswith(value)
    else:
        assert done.stdout.decode() == wanted


@pytest.mark.parametrize(("text", "why"), UNSAFE)
def test_a_place_where_quotation_would_be_undone_is_refused(text, why):
    said = misplaced_value(Template(text, is_shell=True).pieces)
    assert said is not None
    assert why in said.why


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["'", '"', "\\", "$(", ")", "`", "#", " ", "\n", "a", "$", "{{ parameters.x }}", "<<", "${a}"]
        ),
        max_size=9,
    )
)
def test_what_is_let_through_runs_nothing_of_the_value(parts):
    text = "".join(parts)
    template = Template(text, is_shell=True)
    if misplaced_value(template.pieces) is not None:
        return
    # Whatever the text is, a value that would be obeyed would print this.
    script = template.render(
        context(x="'; echo ob''eyed; '\n`echo ob''eyed`$(echo ob''eyed)\\\"; echo ob''eyed; \"")
    )
    for shell in ("sh", "bash"):
        done = subprocess.run(
            [shell, "-c", script], capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
        assert b"obeyed" not in done.stdout + done.stderr.replace(b"ob''eyed", b""), script


@pytest.mark.parametrize(
    ("text", "values", "rendered"),
    [
        ("{{ parameters.x }}", {"x": 5}, "5"),
        ("a {{ parameters.x }}", {"x": "b c"}, "a b c"),
        ("{{ parameters.x }}", {"x": Measured(8, 15, "us")}, "8 us to 15 us"),
        ("{{ parameters.x }}", {"x": Measured(0.25, 0.25, "ratio")}, "25%"),
        ("{{ parameters.x }}", {"x": Measured(None, None, "")}, "not known"),
        ("{{ parameters['to-fd'] }}", {"to_fd": 3}, "3"),
    ],
)
def test_values_as_texts(text, values, rendered):
    assert Template(text).render(context(**values)) == rendered


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ parameters.x }}", "was not given"),
        ("{{ parameters.y }}", "there is no parameter y"),
        ("{{ steps.a.b }}", "the step a has not been run"),
        ("{{ parameters.n }}", "NUL"),
        ("{{ parameters.l }}", "no text or number"),
        ("{{ parameters.n.__class__.__mro__ }}", "unsafe"),
        ("{{ 1 / 0 }}", "division by zero"),
    ],
)
def test_what_has_no_text_is_refused(text, why):
    values = context(x=None, n="a\0b", l=["a"])
    with pytest.raises(ValueRefused, match=why):
        Template(text).render(values)


def test_several_values_are_several_words_of_a_shell():
    assert Template("ls {{ parameters.x }}", is_shell=True).render(context(x=["a b", "c"])) == "ls 'a b' c"


@pytest.mark.parametrize(
    "text", ["{% if x %}a{% endif %}", "{{ x", "{{ x|nothing }}", "{% include 'x' %}", "{{ " + "(" * 900]
)
def test_no_statements_and_no_wrong_grammar(text):
    with pytest.raises(NotATemplate):
        Template(text)


def test_a_condition_is_true_or_false():
    assert Expression('parameters.x == "a" and parameters.n > 3').holds(context(x="a", n=4))
    with pytest.raises(ValueRefused, match="neither true nor false"):
        Expression("parameters.x").holds(context(x="a"))
    with pytest.raises(ValueRefused, match="'range' is undefined"):
        Expression("range(3) == 3").holds(context())
