"""Copies as HL7 annotated ECG (aECG, ANSI/HL7 V3 ECG R1): one series of rhythm with its leads, and the beats in it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from .. import __version__
from ..errors import OutputError
from ..schema import Annotations, Float32, Record
from ..signals.filters import to_sample
from ..text import one_line
from .annotation_files import texts_of
from .counts import MISSING, Counts, counts_of
from .dicom_objects import MAKER, OUR_UUID
from .mdc import BEATS, OID, OURS, lead_code
from .xml_text import MAX_BYTES

DIGITS = 1 << 16  # samples that are made text at a time
ACT_CODES: Final = "2.16.840.1.113883.5.4"  # HL7's kinds of acts
CPT: Final = '<code code="93000" codeSystem="2.16.840.1.113883.6.12" codeSystemName="CPT-4"/>'
ROI: Final = f'<supportingROI><code code="ROIPS" codeSystem="{ACT_CODES}"/>'  # part of the series
NOBODY: Final = (
    '<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject><id nullFlavor="MSK"/>'
    '</trialSubject></subject><componentOf><clinicalTrial><id nullFlavor="NA"/></clinicalTrial></componentOf>'
    "</subjectAssignment></componentOf></timepointEvent></componentOf>"
)  # the patient, whom a copy does not name, and the trial that the schema asks for


def write_aecg(record: Record, rows: Callable[[int], Float32], fs_hz: float, folder: Path) -> None:
    """Write ``NAME.xml`` without a patient.

    Raises
    ------
    OutputError
        A sample is missing, or a lead has no gain: the form can say neither; or the file would be too large to read.

    """
    if unknown := [name for name, stated in zip(record.lead_names, record.calibrated, strict=True) if not stated]:
        raise OutputError(
            f"{record.record_id}: no gain is known for {', '.join(unknown)}, and aECG cannot say so; give the unit, or "
            "choose wfdb, dicom or ishne.",
            settings=("unit", "to"),
        )
    counts = counts_of(record, rows)
    if (counts.samples == MISSING).any():
        raise OutputError(
            f"{record.record_id}: aECG cannot represent missing samples; choose wfdb, dicom, ishne, csv or parquet.",
            settings=("to",),
        )
    path = folder / f"{record.record_id}.xml"
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(_document(record, counts, fs_hz))
    if path.stat().st_size > MAX_BYTES:
        raise OutputError(
            f"{record.record_id}: as aECG it would have {path.stat().st_size >> 20:,} MB, more than the "
            f"{MAX_BYTES >> 20} MB that are read; choose dicom, ishne or edf.",
            settings=("to",),
        )


def _document(record: Record, counts: Counts, fs_hz: float) -> Iterator[str]:
    """The text of the file, piece by piece."""
    n_samples = len(counts.samples)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield '<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
    yield f'<id root="{uuid.uuid5(OUR_UUID, record.sha256)}" extension={quoteattr(one_line(record.record_id))}/>\n'
    yield f"{CPT}\n{_effective(record, n_samples, fs_hz)}{NOBODY}\n<component><series>\n"
    yield f'<code code="RHYTHM" codeSystem="{ACT_CODES}"/>\n{_effective(record, n_samples, fs_hz)}'
    yield f"<author><seriesAuthor><manufacturedSeriesDevice><manufacturerModelName>{MAKER}</manufacturerModelName>"
    yield f"<softwareName>{__version__}</softwareName></manufacturedSeriesDevice></seriesAuthor></author>\n"
    yield f"<component><sequenceSet>\n{_times(record, fs_hz)}"
    for lead, (name, step_uv) in enumerate(zip(record.lead_names, counts.step_uv, strict=True)):
        yield f'<component><sequence>{_lead_code(name)}<value xsi:type="SLIST_PQ"><origin value="0" unit="uV"/>'
        yield f'<scale value="{step_uv:g}" unit="uV"/><digits>'
        for first in range(0, len(counts.samples), DIGITS):
            yield " ".join(map(str, counts.samples[first : first + DIGITS, lead].tolist()))
            yield " "
        yield "</digits></value></sequence></component>\n"
    yield "</sequenceSet></component>\n"
    if record.reference is not None:
        yield "<subjectOf><annotationSet>\n"
        yield from _annotations(record, record.reference, n_samples, fs_hz)
        yield "</annotationSet></subjectOf>\n"
    yield "</series></component>\n</AnnotatedECG>\n"


def _moment(record: Record, time_s: float) -> str:
    """A time by the recorder's clock as HL7 writes it."""
    assert record.start is not None  # noqa: S101  # asked for only where it is known
    moment = record.start + timedelta(seconds=time_s)
    return f"{moment.year:04d}{moment:%m%d%H%M%S.%f}"


def _effective(record: Record, n_samples: int, fs_hz: float) -> str:
    """Start and end of the recording; nothing where they are not known."""
    if record.start is None:
        return ""
    low, high = _moment(record, 0.0), _moment(record, n_samples / fs_hz)
    return f'<effectiveTime><low value="{low}"/><high value="{high}"/></effectiveTime>\n'


def _times(record: Record, fs_hz: float) -> str:
    """The times of the samples: by the clock where the start is known, else from the start."""
    step = f'<increment value="{1 / fs_hz:.15g}" unit="s"/></value></sequence></component>\n'
    kind, value = ("RELATIVE", 'GLIST_PQ"><head value="0" unit="s"/>')
    if record.start is not None:
        kind, value = "ABSOLUTE", f'GLIST_TS"><head value="{_moment(record, 0.0)}"/>'
    code = f'<code code="TIME_{kind}" codeSystem="{ACT_CODES}"/>'
    return f'<component><sequence>{code}<value xsi:type="{value}{step}'


def _lead_code(name: str) -> str:
    code, shown = lead_code(name), quoteattr(one_line(name))
    if code is None:
        return f'<code code={shown} codeSystem="{OURS}" displayName={shown}/>'
    return f'<code code="{code.name}" codeSystem="{OID}" codeSystemName="MDC" displayName={shown}/>'


def _annotations(record: Record, reference: Annotations, n_samples: int, fs_hz: float) -> Iterator[str]:
    """Beats, changes of rhythm and ends of ventricular fibrillation, each at a sample."""
    time_s = (to_sample(reference.time_s, fs_hz, n_samples) / fs_hz).tolist()
    beats = {
        symbol: f'<code code="MDC_ECG_BEAT" codeSystem="{OID}"/><value xsi:type="CE" code="{code.name}" '
        f'codeSystem="{OID}" codeSystemName="MDC"/>'
        for symbol, code in BEATS.items()
    }
    for at_s, symbol, text in zip(time_s, reference.symbol.tolist(), texts_of(reference).tolist(), strict=True):
        rhythm = f'<code code="RHYTHM" codeSystem="{OURS}"/><value xsi:type="ST">{escape(one_line(text))}</value>'
        what = beats.get(symbol, rhythm)
        yield f"<component><annotation>{what}<support>{ROI}{_boundary(record, at_s)}</supportingROI></support>"
        yield "</annotation></component>\n"


def _boundary(record: Record, at_s: float) -> str:
    """A moment of the series."""
    if record.start is None:
        at, kind, unit = f"{at_s:.6f}", ("RELATIVE", "IVL_PQ"), ' unit="s"'
    else:
        at, kind, unit = _moment(record, at_s), ("ABSOLUTE", "IVL_TS"), ""
    return (
        f'<component><boundary><code code="TIME_{kind[0]}" codeSystem="{ACT_CODES}"/><value xsi:type="{kind[1]}">'
        f'<low value="{at}"{unit}/><high value="{at}"{unit}/></value></boundary></component>'
    )
