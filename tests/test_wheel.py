"""The wheel carries the recipes and templates, and they are found in it."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_has_every_recipe_and_finds_it(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name.removeprefix("runner/_data/") for name in archive.namelist() if "_data/" in name}
        archive.extractall(tmp_path / "site")
    files = {
        str(path.relative_to(ROOT))
        for folder in ("recipes", "templates")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    assert shipped == files
    script = "import runner, runner.cli.main, sys; print(runner.__file__); sys.exit(runner.cli.main.main(['list']))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, *listed = done.stdout.splitlines()
    assert first == str(tmp_path / "site" / "runner" / "__init__.py")
    assert any(line.startswith("tcp-retrans ") for line in listed)
