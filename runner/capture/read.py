"""Read captures from files, checked against their types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from pydantic import TypeAdapter, ValidationError

from runner.capture.document import Capture
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from pathlib import Path

_CAPTURE = TypeAdapter(Capture)


def read_capture(path: Path) -> Capture:
    """Read one capture. Fields that this release does not know are left out.

    :raises NotUnderstood: The file is not a capture of version 1.
    """
    try:
        return _CAPTURE.validate_python(orjson.loads(path.read_bytes()))
    except OSError as error:
        raise NotUnderstood(f"{path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise NotUnderstood(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotUnderstood(f"{path} is not a capture: {where}: {first['msg']}") from error
