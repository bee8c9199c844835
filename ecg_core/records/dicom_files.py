"""DICOM waveforms (PS3.3, annex C.10.9): 12-lead, general and ambulatory ECG, read through pydicom."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..clock import ANY_DAY
from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, LeftOut, RecordOverrides
from ..schema import Record, SignalSource
from ..text import format_quoted, plural
from .limits import MAX_FS_HZ, MIN_FS_HZ, check_leads, check_length, distinct_names
from .mdc import LEAD_OF_NUMBER
from .mixed_rates import LeadsOfRate, MixedRateSource
from .overrides import apply_overrides
from .samples import ArraySource
from .units import ASSUMED_PER_MV, GREEK_MU, MICRO_SIGN, MV_OF_UNIT

MAGIC, MAGIC_AT = b"DICM", 128
PATIENT_TAGS: Final = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "ReasonForTheRequestedProcedure",
    "AdmittingDiagnosesDescription", "ReferringPhysicianName", "NameOfPhysiciansReadingStudy", "Manufacturer",
    "ManufacturerModelName",
)  # fmt: skip
SEX: Final = {"M": "male", "F": "female", "O": "other"}
LONGEST_UNIT = 16  # letters of a unit in a sentence
UNITS: Final = ("mV", "uV", f"{MICRO_SIGN}V", f"{GREEK_MU}V", "V")  # UCUM codes, which know upper and lower case
STARTS: Final = (  # in this order, where the time of acquisition is not stated as a whole
    ("AcquisitionDate", "AcquisitionTime"), ("ContentDate", "ContentTime"), ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)  # fmt: skip
MOMENT: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d{6}(?:\.\d{1,6})?)(?:[+-]\d{4})?")  # with the offset from UTC
DAY: Final = re.compile(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)")
CLOCK: Final = re.compile(r"(\d\d):?(\d\d):?(\d\d)(?:\.(\d{1,6}))?")
LEADS: Final = (
    "I", "II", "III", "aVR", "aVL", "aVF", *(f"V{n}" for n in range(1, 10)), *(f"V{n}R" for n in range(2, 8)),
    "X", "Y", "Z", "CC5", "CM5", "MLII", "ES", "AS", "AI",
)  # fmt: skip
LEAD_OF_NAME: Final = {name.casefold(): name for name in LEADS}
SCHEMES: Final = ("SCPECG", "MDC")  # whose codes of leads end in the same numbers
CODES_OF_LEADS: Final = 256  # numbers of leads; a code of MDC adds a multiple of it
LEAD_OF_CODE: Final = {number: name for number, name in LEAD_OF_NUMBER.items() if name in LEADS}


@dataclass(frozen=True)
class Group:
    """A multiplex group: channels that were recorded together."""

    number: int  # in the file, from 0
    fs_hz: float
    n_samples: int
    offset_s: float  # from the start of the acquisition
    names: tuple[str, ...]
    units: tuple[str, ...]  # empty where none is stated

    @property
    def length_s(self) -> float:
        """Its length; 0 where the rate is none."""
        return self.n_samples / self.fs_hz if self.fs_hz > 0 else 0.0

    @property
    def text(self) -> str:
        """Length and rate in words."""
        return f"{self.length_s:,.6g} s at {self.fs_hz:g} Hz"

    def leads(self, *, with_blank: bool) -> list[int]:
        """The channels in a unit of voltage, and perhaps those that state none."""
        return [i for i, unit in enumerate(self.units) if unit in UNITS or (with_blank and not unit)]


def is_dicom(_path: Path, first: bytes) -> bool:
    """Whether a file begins as DICOM does."""
    return first[MAGIC_AT : MAGIC_AT + len(MAGIC)] == MAGIC


def read_dicom(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open a DICOM waveform: the multiplex group that lasts longest, with those that were recorded beside it.

    The patient's name and number are not read.

    Raises
    ------
    RecordError
        It holds no waveform, or none that can be decoded, or the overrides contradict it.

    """
    from pydicom import dcmread  # noqa: PLC0415  # a fifth of a second, for a format that few records have

    try:
        with _quietly():
            dataset = dcmread(path)
            groups = [_group(item, number) for number, item in enumerate(dataset.get("WaveformSequence", []))]
            states_none = not any(unit in UNITS for group in groups for unit in group.units)
            with_blank = states_none or overrides.per_mv is not None
            read = _together(groups, with_blank=with_blank)
            parts = [_decode(dataset, group, group.leads(with_blank=with_blank)) for group in read]
            start, age_years, what = _start(dataset), _age(dataset), _what(dataset)
    except Exception as error:  # the decoder raises all kinds of errors on damaged bytes
        raise RecordError(
            f"begins as DICOM but its waveforms cannot be decoded ({format_quoted(error)})",
            where=path.name,
            advice="Export the recording again.",
        ) from error
    if not groups:
        raise RecordError(
            f"is a DICOM file without waveforms ({format_quoted(what)}); an ECG is needed",
            where=path.name,
            advice="Export the recording itself.",
        )
    if not read:
        units = ", ".join(dict.fromkeys(unit[:LONGEST_UNIT] for group in groups for unit in group.units))
        raise RecordError(
            "none of its channels is an ECG by its unit",
            where=path.name,
            expected="mV, uV or V",
            got=format_quoted(units) or "none",
            advice="Export it with its unit.",
        )
    source, fs_hz, n_samples = _source_of(parts)
    leads = [(group, i) for group in read for i in group.leads(with_blank=with_blank)]
    check_leads(path.name, len(leads))
    check_length(path.name, fs_hz, n_samples)
    moment, clock, doubts = start
    offset = timedelta(seconds=read[0].offset_s)
    record = Record(
        record_id=path.stem,
        source=source,
        fs_hz=fs_hz,
        n_samples=n_samples,
        lead_names=distinct_names([group.names[i] for group, i in leads]),
        calibrated=tuple(group.units[i] != "" for group, i in leads),
        start=moment + offset if moment else None,
        start_clock=(datetime.combine(ANY_DAY, clock) + offset).time() if clock else None,
        left_out=tuple(_left_out(groups, read, with_blank=with_blank)),
        doubts=tuple(doubts),
        age_years=age_years,
        files=(path,),
    )
    return apply_overrides(record, overrides)


def _group(item: Any, number: int) -> Group:
    channels = list(item.get("ChannelDefinitionSequence", []))[: int(item.NumberOfWaveformChannels)]
    return Group(
        number=number,
        fs_hz=float(item.SamplingFrequency),
        n_samples=int(item.NumberOfWaveformSamples),
        offset_s=float(item.get("MultiplexGroupTimeOffset", 0) or 0) / 1000,
        names=tuple(_lead(channel) for channel in channels),
        units=tuple(_unit(channel) for channel in channels),
    )


def _together(groups: list[Group], *, with_blank: bool) -> list[Group]:
    """The group of an ECG that lasts longest, and those of the same start and length that have other leads."""
    usable = [group for group in groups if group.leads(with_blank=with_blank)]
    usable = [group for group in usable if MIN_FS_HZ <= group.fs_hz <= MAX_FS_HZ] or usable
    if not usable:
        return []
    longest = max(usable, key=lambda group: group.length_s)
    read, names = [longest], {*longest.names}
    for group in usable:
        slack_s = 1 / min(group.fs_hz, longest.fs_hz) if group.fs_hz > 0 else 0.0
        is_beside = max(abs(group.length_s - longest.length_s), abs(group.offset_s - longest.offset_s)) <= slack_s
        if is_beside and not {*group.names} <= names:
            read.append(group)
            names |= {*group.names}
    return sorted(read, key=lambda group: group.number)


def _left_out(groups: list[Group], read: list[Group], *, with_blank: bool) -> Iterator[LeftOut]:
    """Groups that are not read, and channels of the others."""
    read_with_unit = _together(groups, with_blank=True)
    for group in groups:
        leads = group.leads(with_blank=with_blank)
        for i, (name, unit) in enumerate(zip(group.names, group.units, strict=True)):
            if i in leads:
                continue
            blank = "states no unit; it is read where one is given" if group in read_with_unit else "states no unit"
            yield LeftOut(name, f"in {format_quoted(unit)}, no unit of an ECG" if unit else blank)
        if leads and group not in read:
            names = ", ".join(group.names[i] for i in leads)
            yield LeftOut(f"group {group.number + 1} ({names})", f"{group.text}, beside {read[0].text} that are read")


def _source_of(parts: list[LeadsOfRate]) -> tuple[SignalSource, float, int]:
    """Samples, rate and length of all leads, at the highest rate."""
    if len(parts) == 1:
        return parts[0].source, parts[0].fs_hz, parts[0].n_samples
    highest = max(parts, key=lambda part: part.fs_hz)
    return MixedRateSource(tuple(parts), highest.fs_hz), highest.fs_hz, highest.n_samples


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence the decoder's warnings of odd values, which are checked here, and which may name a patient."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _decode(dataset: Any, group: Group, leads: list[int]) -> LeadsOfRate:
    """The samples of leads of a multiplex group, which stay as small as they are in the file."""
    from pydicom.waveforms.numpy_handler import multiplex_array  # noqa: PLC0415  # see above

    item = dataset.WaveformSequence[group.number]
    counts = multiplex_array(dataset, group.number, as_raw=True)
    if len(group.names) < counts.shape[1]:
        raise ValueError(f"{plural(counts.shape[1], 'channel')}, {len(group.names)} of them described")
    channels = [item.ChannelDefinitionSequence[i] for i in leads]
    units = [group.units[i] for i in leads]
    mv = [MV_OF_UNIT[unit.lower()] if unit in UNITS else 1 / ASSUMED_PER_MV for unit in units]
    scale = [
        float(channel.get("ChannelSensitivity", 1) or 1)
        * float(channel.get("ChannelSensitivityCorrectionFactor", 1) or 1)
        for channel in channels
    ]
    zero = [float(channel.get("ChannelBaseline", 0) or 0) for channel in channels]
    if not np.isfinite([*scale, *zero]).all():
        raise ValueError("a sensitivity that is not a number")
    source = ArraySource(
        counts.T if len(leads) == counts.shape[1] else counts.T[leads],
        tuple(a * b for a, b in zip(scale, mv, strict=True)),
        tuple(a * b for a, b in zip(zero, mv, strict=True)),
        missing=_padding(item),
    )
    return LeadsOfRate(source, group.fs_hz, counts.shape[0], len(leads))


def _padding(group: Any) -> int | None:
    """The count that marks a sample as not recorded."""
    value = group.get("WaveformPaddingValue")
    if isinstance(value, bytes):
        return int.from_bytes(value, "little", signed=group.WaveformSampleInterpretation.startswith("S"))
    return value if isinstance(value, int) else None


def _what(dataset: Any) -> str:
    """The kind of a file by its registered name alone: what is damaged may hold a patient's."""
    stated = dataset.get("SOPClassUID", "")
    name = str(getattr(stated, "name", ""))
    return name if name and name != str(stated) else "of no known kind"


def _unit(channel: Any) -> str:
    """Unit of a channel's sensitivity; empty where none is stated."""
    units = channel.get("ChannelSensitivityUnitsSequence", [])
    return str(units[0].get("CodeValue", "") or "") if units and "ChannelSensitivity" in channel else ""


def _lead(channel: Any) -> str:
    """Name of a channel's lead: "Lead II (Nehb - ...)" becomes II, as do MDC_ECG_LEAD_II and the code 5.6.3-9-2."""
    source = channel.get("ChannelSourceSequence", [])
    stated = str(source[0].get("CodeMeaning", "") or "") if source else ""
    stated = stated or str(channel.get("ChannelLabel", "") or "")
    name = re.sub(r"^(mdc_ecg_)?(lead|elec_potl)[\s_]+", "", re.split(r"[(,]", stated)[0].strip(), flags=re.IGNORECASE)
    known = LEAD_OF_NAME.get(name.casefold())
    if known or not source:
        return known or name
    code, scheme = (str(source[0].get(tag, "") or "") for tag in ("CodeValue", "CodingSchemeDesignator"))
    number = re.search(r"\d+$", code) if scheme.upper() in SCHEMES else None
    by_code = LEAD_OF_NAME.get(re.sub(r"^mdc_ecg_(lead|elec_potl)_", "", code, flags=re.IGNORECASE).casefold())
    return by_code or (LEAD_OF_CODE.get(int(number[0]) % CODES_OF_LEADS) if number else None) or name


def _start(dataset: Any) -> tuple[datetime | None, time | None, list[str]]:
    """The start by the recorder's own clock, or its time of day alone, and a doubt where it is not that of the ECG.

    Where that of the acquisition is not stated, that of the content, of the series or of the study is taken.
    """
    found = MOMENT.fullmatch(_value(dataset, "AcquisitionDateTime"))
    pairs = [("".join(found.groups()[:3]), found[4])] if found else []
    pairs += [(_value(dataset, day), _value(dataset, clock)) for day, clock in STARTS]
    known = [(_day(day), _clock(clock)) for day, clock in pairs]
    whole = next((i for i, (day, clock) in enumerate(known) if day and clock is not None), None)
    if whole is None:
        return None, next((clock for _, clock in known if clock is not None), None), []
    day, clock = known[whole]
    place = whole + len(STARTS) - len(pairs)  # in STARTS, -1 for the moment of acquisition
    of = {2: "series", 3: "study"}.get(place)
    doubt = [f"the start of the recording is not stated, that of the {of} is taken"] if of else []
    return datetime.combine(day, clock) if day and clock is not None else None, None, doubt


def _day(text: str) -> date | None:
    found = DAY.fullmatch(text)
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def _clock(text: str) -> time | None:
    found = CLOCK.fullmatch(text)
    try:
        micro = int((found[4] or "0").ljust(6, "0")) if found else 0
        return time(int(found[1]), int(found[2]), int(found[3]), micro) if found else None
    except ValueError:
        return None


def _age(dataset: Any) -> int | None:
    """Age as DICOM states it, such as 065Y."""
    found = re.fullmatch(r"(\d{3})Y", str(dataset.get("PatientAge", "")))
    return int(found[1]) if found else None


def patient_of(path: Path) -> Patient:
    """Patient, physicians and recorder, from the attributes of the file."""
    from pydicom import dcmread  # noqa: PLC0415  # see above

    with _quietly():
        dataset = dcmread(path, specific_tags=list(PATIENT_TAGS), stop_before_pixels=True)
        stated = {tag: _value(dataset, tag) for tag in PATIENT_TAGS}
    born = stated["PatientBirthDate"]
    return Patient(
        name=_person(stated["PatientName"]),
        patient_id=stated["PatientID"],
        birth_date=f"{born[:4]}-{born[4:6]}-{born[6:]}" if re.fullmatch(r"\d{8}", born) else "",
        sex=SEX.get(stated["PatientSex"], ""),
        indication=stated["ReasonForTheRequestedProcedure"] or stated["AdmittingDiagnosesDescription"],
        referring_physician=_person(stated["ReferringPhysicianName"]),
        reading_physician=_person(stated["NameOfPhysiciansReadingStudy"]),
        recorder=f"{stated['Manufacturer']} {stated['ManufacturerModelName']}".strip(),
    )


def _value(dataset: Any, tag: str) -> str:
    """An attribute as text, empty where it is missing or damaged; the first one of several."""
    try:
        value = dataset.get(tag, "")
        values = value if isinstance(value, list | tuple) or getattr(value, "VM", 1) > 1 else [value]
        return str(next(iter(values), "") or "").strip()
    except Exception:  # the decoder raises all kinds of errors on damaged bytes
        return ""


def _person(stated: str) -> str:
    """A name that DICOM writes as Family^Given^Middle^Prefix^Suffix."""
    family, given, middle, prefix, suffix, *_ = [*stated.split("=", maxsplit=1)[0].split("^"), "", "", "", "", ""]
    return " ".join(part.strip() for part in (prefix, given, middle, family, suffix) if part.strip())
