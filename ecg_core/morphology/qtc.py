"""The QT interval corrected for the heart rate, by the two formulas that readers name."""

from __future__ import annotations


def qtc_bazett(qt_s: float, rr_s: float) -> float:
    """QT / sqrt(RR), both in seconds.

    Bazett HC. An analysis of the time-relations of electrocardiograms. Heart 1920;7:353-370, reprinted
    doi:10.1111/j.1542-474X.1997.tb00325.x. Corrects too much at fast rates and too little at slow ones.

    >>> round(qtc_bazett(0.36, 0.64), 3)
    0.45

    """
    return float(qt_s / _positive(rr_s) ** (1 / 2))


def qtc_fridericia(qt_s: float, rr_s: float) -> float:
    """QT / cube root of RR, both in seconds.

    Fridericia LS. Die Systolendauer im Elektrokardiogramm bei normalen Menschen und bei Herzkranken. Acta Med Scand
    1920;53:469-486, doi:10.1111/j.0954-6820.1920.tb18266.x.

    >>> round(qtc_fridericia(0.36, 0.512), 3)
    0.45

    """
    return float(qt_s / _positive(rr_s) ** (1 / 3))


def _positive(rr_s: float) -> float:
    if not rr_s > 0:
        raise ValueError(f"the RR interval has to be longer than 0 s, got {rr_s}")
    return rr_s
