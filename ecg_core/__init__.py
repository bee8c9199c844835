"""Beats, attention and arrhythmia burden from ECG recordings; for research and retrospective analysis.

The names of ``__init__.pyi`` are the public API. Each is loaded when it is first used, so that ``import ecg_core``
waits for neither torch nor wfdb.

Examples
--------
>>> import ecg_core
>>> record = ecg_core.read_record("demo_data/demo")
>>> analysis = ecg_core.analyse(record, ecg_core.load_model(), lead="II")
>>> round(analysis.burden.pvc_burden_pct)
7

"""

import lazy_loader

__version__ = "0.2.0"

NOTICE = (
    "Research and retrospective analysis only; not cleared for use as a primary diagnostic tool in a clinical setting."
)

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
