"""Names from the kernel as a document carries them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.capture.encode import encode_text

if TYPE_CHECKING:
    from runner.programs.document import Text


def text_of(decoded: str) -> Text:
    """Return a text that may have lone surrogates, for bytes that are not UTF-8, with its exact bytes."""
    try:
        return encode_text(decoded.encode(errors="surrogateescape"))
    except UnicodeEncodeError:
        # JSON can name half a surrogate pair, which stands for no bytes.
        return decoded.encode(errors="replace").decode()
