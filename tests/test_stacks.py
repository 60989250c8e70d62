import pytest

from runner.bpftrace.stacks import decode_stack

ADDRESS = {"address": "0x7f1a58037503"}


@pytest.mark.parametrize(
    ("printed", "frames"),
    [
        ("", []),
        ("\n", []),
        ("\n    vfs_read+1\n    0x7f1a58037503\n", [{"symbol": "vfs_read", "offset": 1}, ADDRESS]),
        ("\n        vfs_read+1\n", [{"symbol": "vfs_read", "offset": 1}]),
        ("\nvfs_read+1\nmain\n", [{"symbol": "vfs_read", "offset": 1}, {"symbol": "main"}]),
        ("\n    llseek@GLIBC_2.2.5+7\n", [{"symbol": "llseek@GLIBC_2.2.5", "offset": 7}]),
        ("\n    app::operator+(int, long)+69\n", [{"symbol": "app::operator+(int, long)", "offset": 69}]),
        ("\n    f+3@/a b/c.c:12\n", [{"symbol": "f", "offset": 3, "source": "/a b/c.c", "line": 12}]),
        ("\n    [inlined] f@/c.c:12\n", [{"symbol": "f", "inlined": True, "source": "/c.c", "line": 12}]),
        (
            "\n\tffffffff814c254b vfs_read+1\n",
            [{"address": "0xffffffff814c254b", "symbol": "vfs_read", "offset": 1}],
        ),
        (
            "\n\tffffffff814c254bvfs_read+1\n",
            [{"address": "0xffffffff814c254b", "symbol": "vfs_read", "offset": 1}],
        ),
        ("\n\t7f1a58037503 0x7f1a58037503 ([unknown])\n", [ADDRESS]),
        (
            "\n\t7f1a58037503 f(int)+1 (/tmp/a b)\n",
            [ADDRESS | {"symbol": "f(int)", "offset": 1, "module": "/tmp/a b"}],
        ),
        ("\n\t7f1a58037503 f() (/x (deleted))\n", [ADDRESS | {"symbol": "f()", "module": "/x (deleted)"}]),
        ("\n\t7f1a58037503 f (inlined) (/x)\n", [ADDRESS | {"symbol": "f", "inlined": True, "module": "/x"}]),
        ("\n7f1a58037503\n", [ADDRESS]),
        ("\n" + "ab" * 20 + " 0x1f\n", [{"build_id": "ab" * 20, "offset": 31}]),
        (
            "\n\t7f00 f (/\udcff)\n",
            [{"address": "0x7f00", "symbol": "f", "module": {"text": "/�", "base64": "L/8="}}],
        ),
        ("\n    f\udcff+1\n", [{"symbol": {"text": "f�", "base64": "Zv8="}, "offset": 1}]),
    ],
)
def test_frames_of_each_mode(printed, frames):
    assert decode_stack(printed) == frames
