"""Codes of leads and beats by ISO/IEEE 11073-10102 (MDC), which DICOM (CID 3001, 3335) and aECG use."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

SCHEME, OID = "MDC", "2.16.840.1.113883.6.24"  # its names in DICOM and in HL7
OURS: Final = (
    "2.25.248172960910996128024958311667867350505"  # in aECG, of names of leads without a code and of changes of rhythm
)


class Code(NamedTuple):
    """A term of the nomenclature."""

    value: str  # number, as DICOM writes it
    name: str  # reference identifier, as HL7 writes it
    meaning: str


def _lead(number: int, name: str) -> Code:
    return Code(f"2:{number}", f"MDC_ECG_LEAD_{name}", f"Lead {name}")


def _beat(number: int, name: str, meaning: str) -> Code:
    return Code(f"10:{number}", f"MDC_ECG_BEAT_{name}", meaning)


LEAD_OF_NUMBER: Final = {  # of SCP-ECG, whose numbers MDC and MFER use as well
    1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6", 9: "V7", 10: "V2R", 11: "V3R", 12: "V4R",
    13: "V5R", 14: "V6R", 15: "V7R", 16: "X", 17: "Y", 18: "Z", 19: "CC5", 20: "CM5", 61: "III", 62: "aVR",
    63: "aVL", 64: "aVF", 65: "-aVR", 66: "V8", 67: "V9", 68: "V8R", 69: "V9R", 70: "D", 71: "A", 72: "J",
}  # fmt: skip
NOT_OF_MDC: Final = (19, 20, 65, 70, 71, 72)  # numbers whose terms it calls otherwise
LEADS: Final = {
    **{name: _lead(number, name) for number, name in LEAD_OF_NUMBER.items() if number not in NOT_OF_MDC},
    "ES": _lead(131, "ES"), "AS": _lead(132, "AS"), "AI": _lead(133, "AI"),
}  # fmt: skip
TWELVE: Final = frozenset({"I", "II", "III", "aVR", "aVL", "aVF", *(f"V{number}" for number in range(1, 7))})
BEATS: Final = {  # of each symbol of WFDB
    "N": _beat(8208, "NORMAL", "Normal beat (sinus beat, normal conduction)"),
    "L": _beat(8464, "LBB_BLK_COMP", "Left bundle branch block beat"),
    "R": _beat(8496, "RBB_BLK_COMP", "Right bundle branch block beat"),
    "B": _beat(8448, "BB_BLK", "Bundle branch block beat"),
    "e": _beat(8400, "ATR_ESC", "Atrial escape beat"),
    "j": _beat(8416, "JUNC_ESC", "Junctional (nodal) escape beat"),
    "n": _beat(8384, "SV_ESC", "Supraventricular escape beat"),
    "A": _beat(8272, "ATR_P_C", "Atrial premature contraction (beat)"),
    "a": _beat(8304, "ATR_P_C_ABERR", "Aberrated atrial premature beat (Ashman beat)"),
    "J": _beat(8288, "JUNC_P_C", "Junctional (nodal) premature contraction"),
    "S": _beat(8256, "SV_P_C", "Supraventricular premature contraction"),
    "V": _beat(8336, "V_P_C", "Ventricular premature contraction beat"),
    "E": _beat(8432, "V_ESC", "Ventricular escape beat"),
    "r": _beat(8368, "V_P_C_RonT", "R-on-T premature ventricular beat"),
    "F": _beat(8352, "V_P_C_FUSION", "Fusion of ventricular and normal beat"),
    "/": _beat(8704, "PACED", "Paced beat"),
    "f": _beat(8720, "PACED_FUS", "Pacemaker Fusion beat"),
    "Q": _beat(8736, "UNKNOWN", "Unclassifiable beat"),
    "?": _beat(8736, "UNKNOWN", "Unclassifiable beat"),
}


def lead_code(name: str) -> Code | None:
    """The code of a lead by its usual name, in any case; None where the nomenclature has no such lead.

    Examples
    --------
    >>> lead_code("AVR").value, lead_code("ECG lead v1").name, lead_code("MLII")
    ('2:62', 'MDC_ECG_LEAD_V1', None)

    """
    short = re.sub(r"^(ecg|ekg)?[\s_-]*(lead)?[\s_-]*", "", name.strip(), flags=re.IGNORECASE)
    return next((code for known, code in LEADS.items() if known.lower() == short.lower()), None)
