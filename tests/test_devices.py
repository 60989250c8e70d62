"""Block devices: read from sysfs, named on the command line, found among a host's, and named in keys."""

import dataclasses

import pytest

from runner.bpftrace.keys import decode_key
from runner.bpftrace.names import Names
from runner.capture.declaration import KeyDeclaration, TableDeclaration
from runner.errors import ValueRefused
from runner.host.block_devices import block_devices
from runner.host.facts import BlockDevice
from runner.recipe.devices import known_devices
from runner.recipe.hosts import DEVICES
from runner.recipe.parameters import PARAMETER_TYPES, parse_values

SDA = 8 << 20
OTHERS = (
    BlockDevice("cciss/c0d0", 104 << 20),
    BlockDevice("dm-0", 252 << 20, mapped="vg-root", has_requests=False, below=("sda",)),
    BlockDevice("dm-1", 252 << 20 | 1, mapped="path"),
    BlockDevice("md0p1", 9 << 20 | 1, disk="md0", sectors=8),
    BlockDevice("md0", 9 << 20, has_requests=False),
)


def known(text, devices=(*DEVICES, *OTHERS)):
    values = {"device": parse_values("device", PARAMETER_TYPES["device"], [text])}
    (found,) = known_devices(values, devices)["device"]
    return found


@pytest.fixture
def sysfs(tmp_path):
    """A disk with a partition, a volume of the device mapper on that, as sysfs has them."""

    def make(path, **files):
        folder = tmp_path / "devices" / path
        folder.mkdir(parents=True)
        (tmp_path / "class").mkdir(exist_ok=True)
        (tmp_path / "class" / folder.name).symlink_to(folder)
        for name, text in files.items():
            place = folder / name.replace("__", "/")
            place.parent.mkdir(exist_ok=True)
            place.write_text(text + "\n")
        return folder

    disk = make("cciss!c0d0", dev="104:16")
    (disk / "mq").mkdir()
    make("cciss!c0d0/cciss!c0d0p1", dev="104:17", partition="1", start="2048", size="4096")
    volume = make("dm-0", dev="252:0", dm__name="vg-root")
    (volume / "slaves" / "cciss!c0d0p1").mkdir(parents=True)
    make("gone")
    return tmp_path / "class"


def test_devices_are_read_as_sysfs_has_them(sysfs):
    assert block_devices(sysfs) == (
        BlockDevice("cciss/c0d0", 104 << 20 | 16),
        BlockDevice("cciss/c0d0p1", 104 << 20 | 17, disk="cciss/c0d0", first_sector=2048, sectors=4096),
        BlockDevice("dm-0", 252 << 20, mapped="vg-root", has_requests=False, below=("cciss/c0d0p1",)),
    )


def test_a_host_without_sysfs_has_none(tmp_path):
    assert block_devices(tmp_path / "absent") == ()


@pytest.mark.parametrize("text", ["sda", "/dev/sda", "8:0"])
def test_a_disk_by_each_of_its_names(text):
    assert known(text).condition("little", "$d", "$s") == f"$d == {SDA}"
    assert known(text).json() == text


@pytest.mark.parametrize(
    ("text", "number"),
    [("cciss/c0d0", 104 << 20), ("/dev/cciss/c0d0", 104 << 20), ("/dev/mapper/path", 252 << 20 | 1)],
)
def test_names_with_slashes(text, number):
    assert known(text).condition("little", "$d", "$s") == f"$d == {number}"


@pytest.mark.parametrize("text", ["sda1", "/dev/sda1", "8:1"])
def test_a_partition_is_a_range_of_its_disk(text):
    condition = known(text).condition("little", "d", "s").replace("&&", "and")

    def holds(device, sector):
        return eval(condition, {"__builtins__": {}}, {"d": device, "s": sector})  # noqa: S307

    assert [holds(SDA, sector) for sector in (2047, 2048, 2048 + (1 << 21) - 1, 2048 + (1 << 21))] == [
        False, True, True, False,
    ]  # fmt: skip
    assert not holds(SDA | 1, 4096)


@pytest.mark.parametrize("text", ["", "/dev/", "a b", "sda\n", "sda;", "x" * 200, "$(id)", "sd\u0430"])
def test_what_is_no_name(text):
    with pytest.raises(ValueRefused, match="no name of a block device"):
        known(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sdax", "--device sda or sda1? lsblk lists block devices"),
        ("/dev/sda2", "--device sda or sda1? lsblk lists block devices"),
        ("8:77", "lsblk lists block devices"),
        ("/dev/mapper/paht", "--device path? lsblk lists block devices"),
    ],
)
def test_a_device_that_is_not_there(text, hint):
    with pytest.raises(ValueRefused, match="there is no such block device") as refused:
        known(text)
    assert refused.value.hint == hint


def test_a_device_without_requests_is_refused_with_those_below_it():
    with pytest.raises(ValueRefused, match="dm-0 makes no requests") as refused:
        known("/dev/mapper/vg-root")
    assert refused.value.hint == "look below it: --device sda"
    with pytest.raises(ValueRefused, match="md0 makes no requests") as refused:
        known("md0p1")
    assert refused.value.hint is None


def test_a_template_has_to_give_the_sector_too():
    with pytest.raises(TypeError, match="a request's device and first sector"):
        known("sda").condition("little", "$d")


def test_values_of_other_types_stay_what_they_are():
    values = {"port": parse_values("port", PARAMETER_TYPES["port"], ["80"])}
    assert known_devices(values, ()) == values


def test_a_key_has_the_name_or_else_the_number():
    table = TableDeclaration("t", "@t", "count", "requests", (KeyDeclaration("device", "device"),))
    names = {each.number: each.name for each in OTHERS}
    for number, shown in ((104 << 20, "cciss/c0d0"), (104 << 20 | 1, "104:1")):
        assert decode_key(table, [str(number)], Names("little", devices=names)) == ({"device": shown}, True)


def test_a_device_that_was_known_keeps_its_name():
    from tests.test_catalogue import NOWHERE

    facts = dataclasses.replace(NOWHERE, devices=DEVICES)
    later = (BlockDevice("other", SDA), BlockDevice("sdb", SDA | 16))
    assert facts.with_devices(later).device_names() == {SDA: "sda", SDA | 1: "sda1", SDA | 16: "sdb"}
