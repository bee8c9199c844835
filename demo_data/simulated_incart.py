"""Write simulated signals onto the real headers and annotations of INCART, to rehearse what is done with its own.

    python -m demo_data.simulated_incart INCARTDB_DIR OUT_DIR [--records I01,I03] [--minutes 8]

The signals of the database are not needed. Each annotated beat becomes a simulated one of its class, by the dipole and
the leads of the demo record; patients differ by axis, size and the focus of their PVCs. The marks lie off the R peaks,
by a few hundredths of a second that are the patient's own. Each header gets the comment "Simulated record", by which
every report calls it simulated. Figures measured on such records say nothing of the accuracy on INCART.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import wfdb
from scipy.spatial.transform import Rotation

from demo_data.make_demo import ELECTRODES, FS_HZ, LEADS, WANDER_MV, Array, Beat, lobes, project

COMMENT = "# Simulated record: signals simulated on the annotations of INCART"
KINDS = {"V": "V", "E": "V", "A": "A", "S": "A", "J": "A", "a": "A"}  # of beats by their symbols; the others are N
MARK_OFF_S = (-0.02, 0.04)  # an R peak lies between so much before its mark and so much after it
AXIS_DEG, SIZES = 25.0, (0.6, 1.2)  # how patients differ
NOISE_MV, WANDER_S = 0.015, 4.0  # at each electrode
BEFORE_S, AFTER_S = 0.3, 0.6  # a beat from its R peak
TYPICAL_RR_S = 0.8


def write_simulated(database: Path, folder: Path, names: Sequence[str], *, duration_s: float | None = None) -> None:
    """Write records with simulated signals into a folder, which is made; their first seconds, or all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        header = (database / f"{name}.hea").read_text(encoding="latin-1").splitlines()
        n_samples = int(header[0].split()[3])
        n = n_samples if duration_s is None else min(n_samples, round(duration_s * FS_HZ))
        marks = wfdb.rdann(str(database / name), "atr", sampto=n - 1)
        rng = np.random.default_rng([_patient(header), int(name[1:])])
        signal_mv = simulate(marks.sample, marks.symbol, n, rng=rng, patient=_patient(header))
        _write_signals(folder / name, header, signal_mv)
        if n == n_samples:
            shutil.copyfile(database / f"{name}.atr", folder / f"{name}.atr")
        else:
            marks.wrann(write_fs=False, write_dir=str(folder))


def _patient(header: Sequence[str]) -> int:
    """Number of the patient, which a comment of each header of INCART states."""
    return next(int(line.split()[-1]) for line in header if line.startswith("# patient"))


def mark_off_s(patient: int) -> float:
    """How long after its mark an R peak of a patient lies, in seconds."""
    return float(np.random.default_rng(patient).uniform(*MARK_OFF_S))


def simulate(samples: Array, symbols: Sequence[str], n: int, *, rng: np.random.Generator, patient: int) -> Array:
    """Twelve leads in mV of the beats that are marked, shape (12, n)."""
    own = np.random.default_rng([patient, 1])
    axis = Rotation.from_euler("zy", own.uniform(-AXIS_DEG, AXIS_DEG, 2), degrees=True)
    size, focus = own.uniform(*SIZES), str(own.choice(["V", "W"]))
    before, after = round(BEFORE_S * FS_HZ), round(AFTER_S * FS_HZ)
    dipole = np.zeros((3, n + before + after))
    for sample, symbol in zip(samples, symbols, strict=True):
        peak_s = sample / FS_HZ + mark_off_s(patient)
        first = round(peak_s * FS_HZ)  # of the padded signal, in which the beat begins
        if symbol in "+~|[]!" or not 0 <= first < n:
            continue
        kind = KINDS.get(symbol, "N")
        waves = lobes(Beat(peak_s, focus if kind == "V" else kind, TYPICAL_RR_S, ""), rng)
        time_s = np.arange(first - before, first + after) / FS_HZ - peak_s
        shape = np.exp(-0.5 * ((time_s - waves[:, :1]) / waves[:, 1:2]) ** 2)
        dipole[:, first : first + before + after] += size * axis.apply(waves[:, 2:]).T @ shape
    return project(dipole[:, before : before + n], _electrode_noise(n, rng))


def _electrode_noise(n: int, rng: np.random.Generator) -> Array:
    """White noise and a slow wander at each electrode in mV, shape (9, n)."""
    steps = np.arange(0, n / FS_HZ + WANDER_S, WANDER_S)
    wander = [np.interp(np.arange(n) / FS_HZ, steps, row) for row in rng.standard_normal((len(ELECTRODES), len(steps)))]
    return WANDER_MV * np.stack(wander) + NOISE_MV * rng.standard_normal((len(ELECTRODES), n))


def _write_signals(path: Path, header: Sequence[str], signal_mv: Array) -> None:
    """The samples in the format and with the gains of the real header, which is written with their checksums."""
    first, lines, comments = header[0].split(), header[1 : len(LEADS) + 1], header[len(LEADS) + 1 :]
    gain = np.array([float(line.split()[2]) for line in lines])
    counts = np.rint(signal_mv.T * gain).astype("<i2")
    checksums = counts.astype(np.int64).sum(axis=0).astype(np.int16)
    written = [" ".join([*first[:3], str(len(counts)), *first[4:]])]
    for line, start, checksum in zip(lines, counts[0], checksums, strict=True):
        fields = line.split()
        written.append(" ".join([*fields[:5], str(start), str(checksum), *fields[7:]]))
    path.with_suffix(".dat").write_bytes(counts.tobytes())
    path.with_suffix(".hea").write_text("\n".join([*written, *comments, COMMENT]) + "\n", encoding="latin-1")


def main() -> None:
    """Write the records that are named, or all."""
    parser = argparse.ArgumentParser(description="Write simulated signals onto INCART's headers and annotations.")
    parser.add_argument("database", type=Path, help="folder of the real headers and annotations, incartdb/1.0.0")
    parser.add_argument("out", type=Path, help="folder that is written, best named incartdb/1.0.0 too")
    parser.add_argument("--records", help="only these, with commas")
    parser.add_argument("--minutes", type=float, help="of each record (all)")
    options = parser.parse_args()
    listed = (options.database / "RECORDS").read_text(encoding="utf-8").split()
    names = options.records.split(",") if options.records else listed
    write_simulated(options.database, options.out, names, duration_s=options.minutes and 60 * options.minutes)
    print(f"{options.out}: {len(names)} records with simulated signals")


if __name__ == "__main__":
    main()
