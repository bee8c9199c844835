"""The card of a model, in Markdown: its limits first, then where it comes from and what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ..schema import ModelSpec
from ..text import format_quoted, plain_markdown, plural

VERDICT, BEFORE, AFTER = "verdict", "before", "after"  # of a proof
FROM_MODEL, RECORDER = "from_model", "recorder"  # of a proof, where it states them
FACTS: Final = {  # of a proof, and how the card names them
    FROM_MODEL: "Adapted from", RECORDER: "Recorder", "patients": "Patients that it learned from",
    "hours": "Hours that it learned from", "labels": "Labels that it learned from",
}  # fmt: skip
MAX_CELL, MAX_ROWS = 300, 40  # characters of a cell, rows of a table: a card is a summary, the proof has all
NOTICE_LIMIT: Final = (
    "Research and retrospective analysis only; not cleared for use as a primary diagnostic tool in a clinical setting."
)
LIMITS: Final = (  # of a user's own model
    "It was adapted by a user of this program. What was measured before and after stands below; nothing else is known "
    "of it, and the figures of the shipped models do not hold for it.",
    "It may do worse on recordings of another recorder, of other patients or of other leads than those that it was "
    "adapted to.",
    "What the shipped models cannot do, it cannot do either: the page About lists it.",
    NOTICE_LIMIT,
)
SHIPPED_LIMITS: Final = (
    "Fusion and unclassifiable beats are too rare in the training data to be relied on; children and beats marked as "
    "paced are not in it.",
    "Supraventricular beats vary most from patient to patient, and none is classified inside atrial fibrillation.",
    "The page About lists what is not analysed.",
    NOTICE_LIMIT,
)
SHIPPED_MEASURED: Final = (
    "The page About and models/README.md of the project have the figures on every test set. These are of the "
    "sensitivities that can be chosen, at the beats of patients that it had not seen:"
)


def card_of(spec: ModelSpec, proof: Mapping[str, Any]) -> str:
    """The card of a user's own model.

    Parameters
    ----------
    proof
        What was measured before and after, as JSON holds it: ``verdict`` is a sentence; ``before`` and ``after`` are
        tables, a list of rows with the same names or one row; of FACTS, those that are known. All else is shown too,
        under its own name: a number or text as a fact, rows as a table.

    Examples
    --------
    >>> from ecg_core.classifier.spec import DEFAULT_MODEL, read_spec
    >>> card_of(read_spec(DEFAULT_MODEL), {"before": {"V F1": 0.9}, "after": {"V F1": 0.95}}).splitlines()[0]
    '# Model general'

    """
    blocks = [f"# Model {plain_markdown(spec.name)}"]
    if verdict := verdict_of(proof):
        blocks.append(f"**{plain_markdown(verdict)}**")
    blocks += ["## Limits", _list(LIMITS)]
    blocks += ["## Origin", _facts(_origin(spec, proof))]
    blocks += ["## What was measured", *_measured(proof)]
    blocks += ["## Licence", _licence(spec)]
    return "\n\n".join(blocks) + "\n"


def shipped_card_of(spec: ModelSpec) -> str:
    """The card of a shipped model, of which there is no proof: its spec states what it learned and how it does.

    Examples
    --------
    >>> from ecg_core.classifier.spec import DEFAULT_MODEL, read_spec
    >>> "adapted by a user" in shipped_card_of(read_spec(DEFAULT_MODEL))
    False

    """
    learned = ", ".join(map(plain_markdown, _databases(spec)))
    of_leads = zip(("one lead", "several leads together"), spec.operating_points, strict=False)
    points = [f"{point.text}; {leads}" for leads, points in of_leads for point in points]
    blocks = [f"# Model {plain_markdown(spec.name)}"]
    blocks += ["## Limits", _list(SHIPPED_LIMITS)]
    blocks += ["## Origin", _facts([("Origin", "shipped with the program"), *_facts_of_spec(spec)])]
    blocks += ["## What was measured", SHIPPED_MEASURED, _list(points)]
    blocks += ["## Licence", f"MIT. It learned from records of PhysioNet's {learned}, which are not included."]
    return "\n\n".join(blocks) + "\n"


def verdict_of(proof: Mapping[str, Any]) -> str:
    """What was concluded from the measurements, on one line; empty where nothing was."""
    return _text(proof.get(VERDICT, ""))


def recorder_of_proof(proof: Mapping[str, Any]) -> str:
    """The recorder whose recordings a model was adapted to; empty where it is not stated."""
    return _text(proof.get(RECORDER, ""))


def origin_of(proof: Mapping[str, Any]) -> str:
    """What a model was adapted from and to, in words, as its spec keeps it; empty where the proof does not state it."""
    source, recorder = (format_quoted(proof.get(name) or "") for name in (FROM_MODEL, RECORDER))
    if not source and not recorder:
        return ""
    return f"adapted from {source or 'another model'} to {f'the recorder {recorder}' if recorder else 'own recordings'}"


def _text(value: object) -> str:
    """A value as a text on one line, cut where it is far longer than a sentence."""
    return "" if value is None else " ".join(str(value).split())[:MAX_CELL]


def _origin(spec: ModelSpec, proof: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    known = {name: value for key, name in FACTS.items() if (value := _text(proof.get(key, "")))}
    yield from known.items()
    if not known:
        yield "Origin", spec.origin or "not stated"
    yield from _facts_of_spec(spec)


def _facts_of_spec(spec: ModelSpec) -> Iterator[tuple[str, str]]:
    yield "Trained on", _records(spec.trained_on)
    yield "Validated on", _records(spec.validated_on)
    yield "Recipe", spec.recipe
    yield "Weights, SHA-256", spec.sha256
    yield "Network", f"runs in {spec.engine}"


def _records(names: tuple[str, ...]) -> str:
    of = Counter(name.partition("/")[0] for name in names)
    return ", ".join(f"{plural(n, 'record')} of {database}" for database, n in of.items()) or "not stated"


def _measured(proof: Mapping[str, Any]) -> Iterator[str]:
    """Tables of a proof, those before and after first, and then what else it states."""
    others = [key for key in proof if key not in {VERDICT, BEFORE, AFTER, *FACTS}]
    facts = [key for key in others if not isinstance(proof[key], (list, Mapping))]
    tables = [key for key in (BEFORE, AFTER, *others) if key in proof and key not in facts]
    if not facts and not tables:
        yield "Nothing was measured."
    for key in tables:
        yield f"### {plain_markdown(_words(key))}"
        rows = _rows(proof[key])
        yield _table(rows[:MAX_ROWS])
        if len(rows) > MAX_ROWS:
            yield f"The first {MAX_ROWS} of {plural(len(rows), 'row')}; the proof beside this card has all of them."
    if facts:
        yield _facts((_words(key), _text(proof[key])) for key in facts)


def _databases(spec: ModelSpec) -> list[str]:
    """The databases whose records it learned from, each once."""
    return list(dict.fromkeys(name.partition("/")[0] for name in spec.trained_on))


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {_cell(name)}: {_cell(value)}" for name, value in facts)


def _rows(content: Any) -> list[dict[str, str]]:
    """Rows of a table from JSON: a list of rows, one row, or a row for each name."""
    if isinstance(content, Mapping):
        nested = content and all(isinstance(value, Mapping) for value in content.values())
        content = [{"": key, **value} for key, value in content.items()] if nested else [content]
    rows = content if isinstance(content, list) else [content]
    return [
        {str(name): _text(value) for name, value in row.items()} if isinstance(row, Mapping) else {"": _text(row)}
        for row in rows
    ]


def _table(rows: list[dict[str, str]]) -> str:
    """Rows as a table of Markdown; a cell that a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        return "None."
    lines = [list(map(_words, names)), ["---"] * len(names), *([row.get(name, "") for name in names] for row in rows)]
    return "\n".join(
        f"| {' | '.join(cells if number == 1 else map(_cell, cells))} |" for number, cells in enumerate(lines)
    )


def _cell(text: str) -> str:
    return plain_markdown(_text(text))


def _words(key: str) -> str:
    """The key of a JSON object as a heading."""
    words = " ".join(key.replace("_", " ").split())
    return words[:1].upper() + words[1:]


def _licence(spec: ModelSpec) -> str:
    names = _databases(spec)
    learned = f" It learned from {', '.join(map(plain_markdown, names))}." if names else ""
    return (
        f"MIT, as the shipped weights that it was made from.{learned} The recordings that it was adapted to are in "
        "none of its files, which number them and their patients, and stay their owner's: whether weights that learned "
        "from them may be given away is for their owner to decide."
    )
