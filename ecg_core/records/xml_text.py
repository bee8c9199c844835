"""XML that carts write: read whole into a tree, within limits, and without what a hostile document can make of it."""

from __future__ import annotations

import base64
import binascii
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..text import format_quoted, plural
from .cart_kinds import UTF16_LETTERS

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_BYTES: Final = 100 << 20  # an hour of twelve leads in digits; the tree of more would fill the memory
MAX_PARTS: Final = 1_000_000  # elements and attributes: a cart writes thousands, a table of measurements tens of them
MAX_DEPTH: Final = 200  # aECG nests some twenty elements
ONE_A_LINE: Final = bytes.maketrans(b" \t\r\v\f", b"\n\n\n\n\n")  # which Arrow reads as a table of one column
BLOCK_BYTES = 1 << 22  # of a text that are read at a time
DATES: Final = ("%Y-%m-%d", "%Y%m%d")


def read_xml(path: Path) -> Element:
    """Root of a document; names of elements and attributes are without their prefixes.

    Raises
    ------
    RecordError
        It is too large, not well-formed, or declares entities.

    """
    from xml.parsers.expat import ErrorString, ExpatError  # noqa: PLC0415  # only these formats need it

    size = path.stat().st_size
    if size > MAX_BYTES:
        raise RecordError(
            "is too long an XML document",
            where=path.name,
            expected=f"at most {MAX_BYTES >> 20} MB",
            got=f"{size / (1 << 20):,.0f} MB",
            advice="Export the recording as EDF, or in parts.",
        )
    content = path.read_bytes()
    try:
        try:
            return _tree(path.name, content, _encoding(content))
        except ExpatError:
            if _is_utf8(content):
                raise
            return _tree(path.name, content, "iso-8859-1")  # letters of names that the declaration does not tell of
    except ExpatError as error:
        raise RecordError(
            f"is not well-formed XML from there on ({ErrorString(error.code)}); it is truncated or damaged",
            where=path.name,
            position=f"line {error.lineno}",
            advice="Copy or export it again.",
        ) from error
    except (ValueError, LookupError) as error:  # of an encoding that does not exist
        raise RecordError(
            f"cannot be read as XML ({format_quoted(error)})", where=path.name, advice="Export it again."
        ) from error


def _encoding(content: bytes) -> str | None:
    """UTF-8 for a document of single bytes that states UTF-16, as an editor leaves it; else None: as it states."""
    single = content[:1] == b"<" and content[1:2] not in (b"\0", b"")
    return "utf-8" if single and b"utf-16" in content[:200].lower() else None


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return content[:2] in (b"\xff\xfe", b"\xfe\xff", *UTF16_LETTERS)
    return True


def _tree(name: str, content: bytes, encoding: str | None) -> Element:
    """Build the tree, and refuse entities before any of them can be used."""
    from xml.etree.ElementTree import TreeBuilder  # noqa: PLC0415  # see above
    from xml.parsers.expat import ParserCreate  # noqa: PLC0415

    builder, depth, parts = TreeBuilder(), 0, 0

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, parts
        depth, parts = depth + 1, parts + 1 + len(attributes)
        if depth > MAX_DEPTH or parts > MAX_PARTS:
            raise RecordError(
                f"its XML has more than {plural(MAX_PARTS, 'element')}, or nests more than {MAX_DEPTH} of them, which "
                "no ECG does",
                where=name,
                advice="Export the recording again.",
            )
        builder.start(_bare(tag), {_bare(key): value for key, value in attributes.items()})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_bare(tag))

    def entity(entity_name: str, *_definition: object) -> None:
        raise RecordError(
            f"declares the entity {format_quoted(entity_name)}. Entities are not read: they can stand for other files, "
            "or grow without end",
            where=name,
            advice="Export the recording again.",
        )

    parser = ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = entity
    parser.Parse(content, True)  # whether it is all of the document
    return builder.close()


def _bare(name: str) -> str:
    return name.rpartition(":")[2]


def text_at(element: Element | None, place: str = "") -> str:
    """Text of an element below another one, on one line; empty where there is none."""
    found = element.find(place) if element is not None and place else element
    return "" if found is None else " ".join((found.text or "").split())


def attribute_at(element: Element | None, place: str, name: str) -> str:
    """Attribute of an element below another one; empty where there is none."""
    found = None if element is None else element.find(place)
    return "" if found is None else found.get(name, "").strip()


def number_of(text: str) -> float | None:
    """A finite number, or None.

    Examples
    --------
    >>> number_of("4.88"), number_of("nan"), number_of("")
    (4.88, None, None)

    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def date_of(text: str, *forms: str) -> date | None:
    """A date in one of some forms, or as ISO 8601 writes it."""
    for form in forms or DATES:
        try:
            return datetime.strptime(text.strip(), form).date()
        except ValueError:
            continue
    return None


def numbers_of(path: Path, text: str, *, what: str) -> NDArray[np.int32] | NDArray[np.float64]:
    """Numbers of a text, between spaces; whole where all of them are.

    A day of two leads is 22 million numbers: Arrow reads them in a tenth of the time that a list of words takes. What
    it does not know, such as a sign before a positive number, is read word by word.

    Raises
    ------
    RecordError
        A word is no number.

    """
    import pyarrow as pa  # noqa: PLC0415  # only such documents need it
    from pyarrow import csv  # noqa: PLC0415

    rows = pa.BufferReader(text.encode(errors="replace").translate(ONE_A_LINE))
    is_decimal = "x" not in text and "X" not in text  # Arrow would read 0x10
    for kind in (pa.int32(), pa.float64()) if is_decimal else ():
        rows.seek(0)
        try:
            table = csv.read_csv(
                rows,
                csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=["x"]),
                csv.ParseOptions(quote_char=False),
                csv.ConvertOptions(column_types={"x": kind}, null_values=[]),
            )
        except pa.ArrowInvalid:
            continue
        found: NDArray[np.int32] | NDArray[np.float64] = table["x"].to_numpy()
        return found
    try:
        return np.array(text.split(), dtype=np.float64)
    except ValueError as error:
        raise RecordError(
            f"{what} are damaged ({format_quoted(error)})", where=path.name, advice="Copy or export it again."
        ) from error


def bytes_of(path: Path, text: str, *, what: str) -> bytes:
    """What base64 stands for.

    Raises
    ------
    RecordError
        It is none.

    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RecordError(
            f"the base64 of {what} is damaged ({format_quoted(error)})",
            where=path.name,
            advice="Copy or export it again.",
        ) from error


def counts_of(path: Path, text: str, *, what: str) -> NDArray[np.int16]:
    """The 16-bit numbers, little-endian, that base64 stands for.

    Raises
    ------
    RecordError
        It is damaged, or half a number is left over.

    """
    content = bytes_of(path, text, what=what)
    if len(content) % 2:
        raise RecordError(
            f"{what} is damaged",
            where=path.name,
            expected="two bytes for each sample",
            got=plural(len(content), "byte"),
            advice="Copy or export it again.",
        )
    return np.frombuffer(content, dtype="<i2").astype(np.int16)
