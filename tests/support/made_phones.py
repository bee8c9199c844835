"""Simulated ECGs as phones and watches keep them: ATC of AliveCor, and JSON of the services of watches."""

import json
import struct
import zlib

import numpy as np

FS_HZ, N = 300, 3000
BLOCKS = ("ecg ", "ecg2", "ecg3", "ecg4", "ecg5", "ecg6", "ecg7", "ecg8", "ecg9", "ecga", "ecgb", "ecgc")
START = "2018-10-10T11:13:11-0700"


def counts(n_leads=1, n=N):
    """Whole numbers, different in each lead."""
    time_s = np.arange(n) / FS_HZ
    return np.stack([np.rint(2000 * np.sin(2 * np.pi * (1 + lead) * time_s)) for lead in range(n_leads)]).astype("<i2")


def block(name, data, *, checksum=lambda whole: sum(whole) & 0xFFFFFFFF):
    whole = name.encode() + struct.pack("<I", len(data)) + data
    return whole + struct.pack("<I", checksum(whole))


def info(start=START, *, hardware="kardia_mobile", **more):
    texts = zip((start, "", "", "phone", "app", hardware, ""), (32, 40, 44, 32, 32, 32, 52), strict=True)
    return block("info", b"".join(text.encode().ljust(width, b"\0") for text, width in texts), **more)


def form(fs_hz=FS_HZ, step_nv=500, kind=1):
    return block("fmt ", struct.pack("<BHHBH", kind, fs_hz, step_nv, 2, 0))


def atc(rows, *before, more=b"", checksum=None):
    """A file of leads, I first."""
    own = {} if checksum is None else {"checksum": checksum}
    content = b"ALIVE\0\0\0" + struct.pack("<I", 3) + b"".join(before or (info(), form()))
    leads = [block(name, row.tobytes(), **own) for name, row in zip(BLOCKS, rows, strict=False)]
    return content + b"".join(leads) + more


def marks(*samples):
    pairs = b"".join(struct.pack("<IH", sample, 1) for sample in samples)
    return block("ann ", struct.pack("<I", FS_HZ) + pairs)


def fitbit(row, **fields):
    reading = {
        "startTime": "2022-09-28T17:12:30.222", "averageHeartRate": 70, "waveformSamples": row.tolist(),
        "samplingFrequencyHz": "250", "scalingFactor": 10922, "numberOfWaveformSamples": len(row), "leadNumber": 1,
        "deviceName": "Sense",
    }  # fmt: skip
    return {"ecgReadings": [reading | fields], "pagination": {"limit": 1}}


def google(row, **fields):
    reading = {
        "interval": {"startTime": "2025-05-31T10:00:00Z", "startUtcOffset": "7200s"}, "waveformSamples": row.tolist(),
        "samplingFrequencyHertz": 250, "millivoltsScalingFactor": 10922,
        "medicalDeviceInfo": {"deviceModel": "Pixel Watch 2"},
    }  # fmt: skip
    return {"dataPoints": [{"name": "users/me/x", "electrocardiogram": reading | fields}]}


def withings(row, **fields):
    return {"status": 0, "body": {"signal": row.tolist(), "sampling_frequency": 300, "wearposition": 1} | fields}


def as_json(document):
    return json.dumps(document).encode()


WHOLE = {
    "atc": (lambda: atc(counts(6), info(), form(), more=marks(100, 400)), "x.atc"),
    "atc, crc": (lambda: atc(counts(1), checksum=zlib.crc32), "x.atc"),
    "fitbit": (lambda: as_json(fitbit(counts()[0])), "x.json"),
    "google health": (lambda: as_json(google(counts()[0])), "x.json"),
    "withings": (lambda: as_json(withings(counts()[0])), "x.json"),
}
