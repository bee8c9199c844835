"""Small recordings of each format, simulated and written without the readers that are tested with them."""

import struct
from datetime import datetime

import edfio
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

AMBULATORY_ECG = "1.2.840.10008.5.1.4.1.1.9.1.3"
FS_HZ = 250
N = 20 * FS_HZ
START = datetime(2001, 2, 3, 4, 5, 6)


def signal(n_leads=2, n=N):
    return np.stack([np.sin(np.arange(n) / (20 + 3 * lead)) for lead in range(n_leads)])


def whole(record):
    return record.source.read(0, record.n_samples, tuple(range(len(record.lead_names))))


def write_edf(path, rows, *, kind=edfio.EdfSignal, unit="mV", names=("ECG II", "ECG V1"), writer=None):
    signals = [
        kind(row, FS_HZ, label=name, physical_dimension=unit, physical_range=(-4000, 4000) if unit == "uV" else (-4, 4))
        for row, name in zip(rows, names, strict=False)
    ]
    (writer or edfio.Edf)(signals, starttime=START.time(), recording=edfio.Recording(startdate=START.date())).write(
        path
    )
    return path


def ishne(rows, *, n_leads=None, rate=FS_HZ, resolution=2500, specs=(6, 11), born=(1, 1, 1950), offset=522):
    """The bytes of an ISHNE file."""
    header = bytearray(522)
    header[:8] = b"ISHNE1.0"
    n_leads = n_leads or len(rows)
    struct.pack_into("<4i", header, 10, 0, rows.shape[1], 522, offset)
    header[28:68] = b"Firstname".ljust(40, b"\0")
    struct.pack_into("<3h", header, 132, *born)
    struct.pack_into("<3h", header, 138, START.day, START.month, START.year)
    struct.pack_into("<3h", header, 150, START.hour, START.minute, START.second)
    struct.pack_into("<h", header, 156, n_leads)
    struct.pack_into("<12h", header, 158, *[*specs, *[0] * 12][:12])
    struct.pack_into("<12h", header, 206, *[resolution] * 12)
    struct.pack_into("<h", header, 272, rate)
    counts = np.where(np.isnan(rows), -32768, np.rint(np.nan_to_num(rows) * 1e6 / max(resolution, 1)))
    return bytes(header) + counts.T.astype("<i2").tobytes()


def csv_text(rows, headings="time_s,II_mv,V1_mv", *, separator=",", fs_hz=FS_HZ):
    lines = [headings]
    line = separator.join(["%.6f", *["%.5f"] * len(rows)])
    lines += [line % (i / fs_hz, *column) for i, column in enumerate(rows.T.tolist())]
    if np.isnan(rows).any():
        lines = [text.replace("nan", "") for text in lines]
    return "\n".join(lines) + "\n"


def dicom_code(value, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "X", meaning
    return item


def dicom_group(counts, *, fs_hz=250, unit="uV", sensitivity=2.5, names=("Lead II", "V1 (precordial)")):
    item = Dataset()
    item.NumberOfWaveformChannels, item.NumberOfWaveformSamples = counts.shape
    item.SamplingFrequency = fs_hz
    item.WaveformBitsAllocated, item.WaveformSampleInterpretation = 16, "SS"
    item.WaveformOriginality = "ORIGINAL"
    channels = []
    for name in names[: len(counts)]:
        channel = Dataset()
        channel.ChannelSourceSequence = [dicom_code("2:2", name)]
        channel.WaveformBitsStored = 16
        if unit:
            channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = sensitivity, 1
            channel.ChannelBaseline = 0
            channel.ChannelSensitivityUnitsSequence = [dicom_code(unit, unit)]
        channels.append(channel)
    item.ChannelDefinitionSequence = channels
    item.WaveformData = counts.T.astype("<i2").tobytes()
    return item


def write_dicom(path, groups, **more):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, AMBULATORY_ECG
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID = AMBULATORY_ECG
    dataset.PatientName, dataset.PatientAge = "Somebody^Known", "065Y"
    dataset.AcquisitionDateTime = "20010203040506"
    if groups:
        dataset.WaveformSequence = groups
    for name, value in more.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path
