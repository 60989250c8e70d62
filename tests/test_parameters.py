import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.capture.words import name_to_words
from runner.errors import ValueRefused
from runner.recipe.parameters import PARAMETER_TYPES, TARGET_FILTERS, parse_values


def holds(condition, **variables):
    """Evaluate a bpftrace condition: C and Python agree on what these use, but for the words."""
    python = condition.replace("&&", " and ").replace("||", " or ").replace("(uint64)", "")
    python = re.sub(r"\$(\w+)", r"\1", python)
    return bool(eval(python, {"__builtins__": {}}, variables))  # noqa: S307


def condition(kind, text, *expressions):
    types = {**PARAMETER_TYPES, **TARGET_FILTERS}
    (value,) = parse_values(kind, types[kind], [text])
    return value.condition("little", *expressions)


def name_variables(name):
    first, second = name_to_words(name, "little")
    return {"a": first, "b": second}


def network_variables(address):
    mapped = address if address.version == 6 else ipaddress.IPv6Address(f"::ffff:{address}")
    return {f"r{place}": byte for place, byte in enumerate(mapped.packed)}


names = st.binary(min_size=1, max_size=15).filter(
    lambda name: b"\0" not in name and not name.endswith((b"*", b"\\"))
)


@given(names, names)
def test_a_name_matches_itself_alone(asked, actual):
    text = asked.decode(errors="surrogateescape")
    matched = holds(condition("comm", text, "$a", "$b"), **name_variables(actual))
    assert matched == (asked == actual)


@given(names, names)
def test_a_prefix_matches_what_begins_with_it(asked, actual):
    text = asked.decode(errors="surrogateescape") + "*"
    matched = holds(condition("comm", text, "$a", "$b"), **name_variables(actual))
    assert matched == actual.startswith(asked)


def test_a_star_of_the_names_own():
    assert holds(condition("comm", r"a\*", "$a", "$b"), **name_variables(b"a*"))
    assert not holds(condition("comm", r"a\*", "$a", "$b"), **name_variables(b"ab"))


def test_stale_bytes_behind_the_nul_do_not_matter():
    first, second = int.from_bytes(b"ls\0ngnam", "little"), 7
    assert holds(condition("comm", "ls", "$a", "$b"), a=first, b=second)


addresses = st.ip_addresses()


@given(addresses, addresses, st.integers(0, 128))
def test_a_network_covers_its_addresses(base, address, prefix):
    network = ipaddress.ip_network((base, min(prefix, base.max_prefixlen)), strict=False)
    matched = holds(condition("network", str(network), "$r"), **network_variables(address))
    mapped = getattr(address, "ipv4_mapped", None)
    plain = mapped if mapped is not None and network.version == 4 else address
    if network.version == 6 and address.version == 4:
        plain = ipaddress.IPv6Address(f"::ffff:{address}")
    assert matched == (plain in network)


def test_a_mapped_network_is_its_ipv4():
    assert condition("network", "::ffff:10.0.0.1", "$r") == condition("network", "10.0.0.1", "$r")


def test_a_port_at_either_end():
    assert condition("port", "443", "$s", "$d") == "$s == 443 || $d == 443"


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("port", "70000", "outside 1 to 65535"),
        ("port", "0", "outside 1 to 65535"),
        ("port", "-1", "outside 1 to 65535"),
        ("port", "http", "not a whole number"),
        ("port", "", "not a whole number"),
        ("port", "٤٤", "not a whole number"),
        ("port", "8" * 5000, "outside 1 to 65535"),
        ("pid", "0", "outside 1 to 4194304"),
        ("network", "10.0.0.256", "not an IPv4 or IPv6 address"),
        ("network", "10.0.0.0/33", "not an IPv4 or IPv6 address"),
        ("network", "fe80::1%eth0/64", "not an IPv4 or IPv6 address"),
        ("network", "example.org", "not an IPv4 or IPv6 address"),
        ("comm", "", "at least one byte"),
        ("comm", "*", "at least one byte"),
        ("comm", "x" * 300, "15 bytes of a name, this has 300: what would match is 'xxxxxxxxxxxxxxx'"),
        ("comm", "kube-controller-manager", "what would match is 'kube-controller'"),
        ("comm", "aaaaaaaaaaaaaaü", "what would match is 'aaaaaaaaaaaaaa*'"),
    ],
)
def test_refused_values_say_why(kind, text, message):
    with pytest.raises(ValueRefused, match=re.escape(message)) as refused:
        parse_values(kind, {**PARAMETER_TYPES, **TARGET_FILTERS}[kind], [text])
    assert refused.value.message.startswith(f"--{kind} ")
    assert len(refused.value.message) < 250


def test_the_spelling_that_a_refusal_gives_is_taken():
    for text in ("kube-controller", "aaaaaaaaaaaaaa*"):
        assert parse_values("comm", TARGET_FILTERS["comm"], [text])
