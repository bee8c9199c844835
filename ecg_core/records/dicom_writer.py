"""Copies as DICOM waveforms (PS3.3, A.34): 12-lead, general or ambulatory ECG, as length, rate and leads allow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import OutputError
from ..schema import Float32, Record
from ..signals.filters import to_sample
from ..text import plural
from .annotation_files import texts_of
from .counts import MISSING, Counts, counts_of
from .dicom_objects import code_item, long_string, new_dataset, to_bytes
from .mdc import BEATS, SCHEME, TWELVE, lead_code

if TYPE_CHECKING:  # loads where DICOM is written
    from pydicom.dataset import Dataset

TWELVE_LEAD: Final = "1.2.840.10008.5.1.4.1.1.9.1.1"
GENERAL: Final = "1.2.840.10008.5.1.4.1.1.9.1.2"
AMBULATORY: Final = "1.2.840.10008.5.1.4.1.1.9.1.3"
MOST_SAMPLES = 16_384  # of a lead in 12-lead and general ECG ...
SHORT_HZ: Final = (200.0, 1000.0)  # ... whose rates these are
MOST_GENERAL, MOST_AMBULATORY = 24, 12  # leads
AMBULATORY_HZ: Final = (50.0, 1000.0)
MOST_BYTES = (1 << 32) - 2  # of a value in DICOM
MOST_POSITIONS = 16_000  # of an annotation: a value of its kind has at most 65,534 bytes
OUR_LEADS: Final = "99ECGLEAD"  # scheme of the names of leads for which there is no code


def write_dicom(record: Record, rows: Callable[[int], Float32], fs_hz: float, folder: Path) -> None:
    """Write one multiplex group of 16 bits without a patient, with beats and changes of rhythm as annotations.

    Raises
    ------
    OutputError
        DICOM has no ECG of so many leads, of this length, or of this rate.

    """
    counts = counts_of(record, rows)
    n_samples = len(counts.samples)
    sop_class = sop_class_of(record, n_samples, fs_hz)
    made = new_dataset(record, sop_class, instance=f"{record.record_id} at {fs_hz!r} Hz", modality="ECG")
    made.AcquisitionContextSequence = []
    made.WaveformSequence = [_group(record, counts, fs_hz)]
    annotations = _annotations(record, n_samples, fs_hz)
    if annotations:
        made.WaveformAnnotationSequence = annotations
    (folder / f"{record.record_id}.dcm").write_bytes(to_bytes(made))


def sop_class_of(record: Record, n_samples: int, fs_hz: float) -> str:
    """The kind of ECG that holds the record; see ``write_dicom`` for what is raised."""
    names = {code.name.removeprefix("MDC_ECG_LEAD_") for name in record.lead_names if (code := lead_code(name))}
    n_leads = len(record.lead_names)
    if n_samples <= MOST_SAMPLES and SHORT_HZ[0] <= fs_hz <= SHORT_HZ[1]:
        if n_leads == len(TWELVE) and names == TWELVE:
            return TWELVE_LEAD
        if n_leads <= MOST_GENERAL:
            return GENERAL
    fits = n_leads <= MOST_AMBULATORY and AMBULATORY_HZ[0] <= fs_hz <= AMBULATORY_HZ[1]
    if not fits or 2 * n_samples * n_leads > MOST_BYTES:
        raise OutputError(
            f"{record.record_id}: DICOM has no ECG of {plural(n_leads, 'lead')}, {plural(n_samples, 'sample')} each, "
            f"at {fs_hz:g} Hz: up to {MOST_SAMPLES:,} samples at 200 to 1000 Hz in 24 leads, or 4 GB at 50 to 1000 Hz "
            "in 12 leads; choose another form or rate.",
            settings=("to", "rate"),
        )
    return AMBULATORY


def _group(record: Record, counts: Counts, fs_hz: float) -> Dataset:
    from pydicom.dataset import Dataset  # noqa: PLC0415  # only where DICOM is written

    group = Dataset()
    group.WaveformOriginality = "ORIGINAL" if fs_hz == record.fs_hz else "DERIVED"
    group.NumberOfWaveformSamples, group.NumberOfWaveformChannels = counts.samples.shape
    group.SamplingFrequency = f"{fs_hz:.12g}"
    group.MultiplexGroupLabel = "RHYTHM"
    group.ChannelDefinitionSequence = [
        _channel(number, name, step_uv)
        for number, (name, step_uv) in enumerate(zip(record.lead_names, counts.step_uv, strict=True), 1)
    ]
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    if (counts.samples == MISSING).any():
        group.WaveformPaddingValue = MISSING.to_bytes(2, "little", signed=True)
    group.WaveformData = counts.samples.tobytes()
    return group


def _channel(number: int, name: str, step_uv: float | None) -> Dataset:
    from pydicom.dataset import Dataset  # noqa: PLC0415  # see above

    channel, code = Dataset(), lead_code(name)
    channel.WaveformChannelNumber = number
    channel.ChannelLabel = name_of_16(name)
    channel.ChannelSourceSequence = [
        code_item(code.value, SCHEME, code.meaning) if code else code_item(name_of_16(name), OUR_LEADS, name)
    ]
    if step_uv is not None:  # else the samples are of no defined unit
        channel.ChannelSensitivity = f"{step_uv:g}"
        channel.ChannelSensitivityUnitsSequence = [code_item("uV", "UCUM", "microvolt")]
        channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = "1", "0"
    channel.ChannelSampleSkew, channel.WaveformBitsStored = "0", 16
    return channel


def name_of_16(name: str) -> str:
    """A name in the 16 letters that a label or a code has."""
    return long_string(name)[:16].strip() or "_"


def _annotations(record: Record, n_samples: int, fs_hz: float) -> list[Dataset]:
    """An item for each kind of beat and rhythm, with the places of all of them, or of the next 16,000."""
    from pydicom.dataset import Dataset  # noqa: PLC0415  # see above

    if record.reference is None:
        return []
    items, reference = [], record.reference
    place = to_sample(reference.time_s, fs_hz, n_samples) + 1  # the first sample has the number 1
    texts = texts_of(reference)
    kinds = [("", symbol, reference.symbol == symbol) for symbol in BEATS]
    kinds += [(text, "", texts == text) for text in dict.fromkeys(texts.tolist()) if text]
    for text, symbol, chosen in kinds:
        places = place[chosen].tolist()
        for first in range(0, len(places), MOST_POSITIONS):
            item = Dataset()
            item.AnnotationGroupNumber = 2 if text else 1
            if text:
                item.UnformattedTextValue = text
            else:
                code = BEATS[symbol]
                item.ConceptNameCodeSequence = [code_item(code.value, SCHEME, code.meaning)]
            some = places[first : first + MOST_POSITIONS]
            item.ReferencedWaveformChannels = [1, 0]  # all channels of the first group
            item.TemporalRangeType = "MULTIPOINT" if len(some) > 1 else "POINT"
            item.ReferencedSamplePositions = some
            items.append(item)
    return items
