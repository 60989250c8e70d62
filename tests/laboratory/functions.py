"""A shared library with numbered functions, to be traced and called."""

import ctypes
import subprocess
from pathlib import Path


def build_library(folder: Path, functions: int) -> tuple[Path, ctypes.CDLL]:
    """Compile a library with functions f0, f1 … that do nothing, and load it."""
    source = folder / "functions.c"
    source.write_text("".join(f'void f{n}(void) {{ __asm__ volatile("nop"); }}\n' for n in range(functions)))
    library = folder / "functions.so"
    subprocess.run(["gcc", "-O0", "-shared", "-fPIC", "-o", library, source], check=True)
    return library, ctypes.CDLL(str(library))
