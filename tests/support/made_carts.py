"""Recordings as carts and Holters write them, simulated, and written without the readers that are tested with them."""

import base64
from datetime import datetime

import numpy as np

FS_HZ = 500
SECONDS = 10
N = SECONDS * FS_HZ
TWELVE = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
START = datetime(2001, 2, 3, 4, 5, 6)
WAVES = ((-0.2, 0.025, 0.12), (-0.03, 0.01, -0.1), (0.0, 0.011, 1.0), (0.03, 0.01, -0.2), (0.25, 0.05, 0.3))
ENTITIES = '<!DOCTYPE {root} [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE {root} [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def counts(n_leads=12, n=N, *, per_mv=200, fs_hz=FS_HZ):
    """Simulated beats of 75 bpm, (n_leads, n), whole numbers; the second lead is the largest."""
    time_s = (np.arange(n) / fs_hz) % 0.8 - 0.3
    beat = sum(size * np.exp(-((time_s - at) ** 2) / (2 * width**2)) for at, width, size in WAVES)
    size = 0.6 + 0.4 * np.cos(np.arange(n_leads) - 1)
    noise = np.random.default_rng(1).normal(0, 0.01, (n_leads, n))
    return np.rint((size[:, None] * beat + noise) * per_mv).astype(np.int16)


def base64_of(row):
    return base64.b64encode(np.asarray(row).astype("<i2").tobytes()).decode()


# HL7 annotated ECG


def aecg_sequence(name, row, *, scale="5", unit="uV", origin="0"):
    digits = " ".join(map(str, np.asarray(row).tolist()))
    return f"""<component><sequence><code code="{name}"/><value xsi:type="SLIST_PQ">
      <origin value="{origin}" unit="{unit}"/><scale value="{scale}" unit="{unit}"/>
      <digits>{digits}</digits></value></sequence></component>"""


def aecg_series(rows, *, code="RHYTHM", step='value="0.002" unit="s"', kind="TIME_ABSOLUTE", more="", **scale):
    head = START.strftime("%Y%m%d%H%M%S.000") if kind == "TIME_ABSOLUTE" else "0"
    leads = "".join(aecg_sequence(f"MDC_ECG_LEAD_{name.upper()}", row, **scale) for name, row in rows.items())
    return f"""<component><series><code code="{code}"/>
      <effectiveTime><low value="{START:%Y%m%d%H%M%S}"/></effectiveTime>
      <author><seriesAuthor><manufacturedSeriesDevice><manufacturerModelName>Cart 1</manufacturerModelName>
        </manufacturedSeriesDevice><manufacturerOrganization><name>Maker</name></manufacturerOrganization>
      </seriesAuthor></author>
      <component><sequenceSet>
        <component><sequence><code code="{kind}"/><value xsi:type="GLIST_TS"><head value="{head}"/>
          <increment {step}/></value></sequence></component>{leads}{more}
      </sequenceSet></component>
    </series></component>"""


def aecg_beat(kind, time_s, *, end_s=None):
    value = f'<value value="{time_s}" unit="s"/>'
    if end_s is not None:
        value = f'<value><low value="{time_s}" unit="s"/><high value="{end_s}" unit="s"/></value>'
    return f"""<component><annotation><code code="MDC_ECG_BEAT"/><value code="{kind}"/><support><supportingROI>
      <component><boundary><code code="TIME_RELATIVE"/>{value}</boundary></component>
      </supportingROI></support></annotation></component>"""


def aecg(*series, prolog='<?xml version="1.0" encoding="UTF-8"?>', name="Erika"):
    return f"""{prolog}
    <AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><id root="1.2.3"/>
    <componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject><id extension="P7"/>
      <subjectDemographicPerson><name><family>Muster</family><given>{name}</given></name>
      <administrativeGenderCode code="F"/><birthTime value="19500102"/></subjectDemographicPerson>
      </trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf>
    {"".join(series)}</AnnotatedECG>""".strip()


def whole_aecg(n=N):
    return aecg(aecg_series(dict(zip(TWELVE, counts(12, n), strict=True)))).encode()


# GE MUSE


def muse_lead(name, row, *, scale="5", unit="MICROVOLTS", stated=None, more=""):
    return f"""<LeadData><LeadByteCountTotal>{2 * len(row)}</LeadByteCountTotal><LeadTimeOffset>0</LeadTimeOffset>
      <LeadSampleCountTotal>{stated or len(row)}</LeadSampleCountTotal>
      <LeadAmplitudeUnitsPerBit>{scale}</LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>{unit}</LeadAmplitudeUnits>
      <LeadID>{name}</LeadID><LeadSampleSize>2</LeadSampleSize>{more}
      <WaveFormData> {base64_of(row)}
      </WaveFormData></LeadData>"""


def muse_waveform(rows, *, kind="Rhythm", base="500", exponent="0", **options):
    leads = "".join(muse_lead(name, row, **options) for name, row in rows.items())
    return f"""<Waveform><WaveformType>{kind}</WaveformType><NumberofLeads>{len(rows)}</NumberofLeads>
      <SampleBase>{base}</SampleBase><SampleExponent>{exponent}</SampleExponent>{leads}</Waveform>"""


def muse(*waveforms, day="02-03-2001", name="Jörg"):
    return f"""<?xml version="1.0" encoding="ISO-8859-1"?>
    <!DOCTYPE RestingECG SYSTEM "restecg.dtd">
    <RestingECG><MuseInfo><MuseVersion>8</MuseVersion></MuseInfo>
    <PatientDemographics><PatientID>P7</PatientID><PatientAge>51</PatientAge><AgeUnits>YEARS</AgeUnits>
      <DateofBirth>01-02-1950</DateofBirth><Gender>MALE</Gender>
      <PatientLastName>Muster</PatientLastName><PatientFirstName>{name}</PatientFirstName></PatientDemographics>
    <TestDemographics><AcquisitionDevice>MAC</AcquisitionDevice><AcquisitionTime>04:05:06</AcquisitionTime>
      <AcquisitionDate>{day}</AcquisitionDate><ReferringMDLastName>Ref</ReferringMDLastName></TestDemographics>
    {"".join(waveforms)}</RestingECG>""".encode("latin-1")


def eight(n=N, **options):
    return dict(zip(EIGHT, counts(8, n, **options), strict=True))


def whole_muse(n=N):
    rows = eight(n)
    beat = {name: row[:600] for name, row in rows.items()}
    return muse(muse_waveform(beat, kind="Median"), muse_waveform(rows))


# Philips


def lzw(content):
    """Codes of ten bits, and the one that ends them."""
    codes, table, word = [], {bytes((k,)): k for k in range(256)}, b""
    for k in range(len(content)):
        letter = content[k : k + 1]
        if word + letter in table:
            word += letter
            continue
        codes.append(table[word])
        if len(table) <= 1022:
            table[word + letter] = len(table)
        word = letter
    bits = "".join(format(code, "010b") for code in [*codes, table[word], 1023])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def xli_chunk(row):
    """Two samples, then second differences turned and moved by 64, of which the first stands in the header."""
    row = np.asarray(row, dtype=np.int64)
    turned = -np.diff(row, 2)
    numbers = (np.concatenate([row[:2], turned[1:] + 64, [64]]) % 65_536).astype(">u2").view(np.uint8).reshape(-1, 2)
    content = lzw(numbers[:, 0].tobytes() + numbers[:, 1].tobytes())
    return len(content).to_bytes(4, "little") + b"\0\0" + int(turned[0]).to_bytes(2, "little", signed=True) + content


def xli(rows):
    """Compressed leads; of III, aVR, aVL and aVF what their sums leave over."""
    rows = np.asarray(rows, dtype=np.int64).copy()
    one, two, three, right, left, foot = rows[:6].copy()
    rows[2:6] = two - one - three, -right - (one + two) // 2, (one - three) // 2 - left, (two + three) // 2 - foot
    return base64.b64encode(b"".join(map(xli_chunk, rows))).decode()


def sierra(rows, *, compression="XLI", version="1.04", more="", **changed):
    """A document of version 1.03, which names no leads, or 1.04."""
    n = rows.shape[1]
    data = xli(rows) if compression == "XLI" else base64_of(np.ravel(rows))
    attributes = {"dataencoding": "Base64", "durationperchannel": str(n * 1000 // FS_HZ)}
    if version == "1.03":
        attributes |= {"compressflag": str(compression == "XLI"), "compressmethod": compression, "nbitspersample": "16"}
        resolution = "<signalresolution>5</signalresolution>"
    else:
        attributes |= {"compression": compression, "numberofleads": str(len(rows)), "leadlabels": " ".join(TWELVE)}
        attributes |= {"samplespersecond": "500", "resolution": "5", "signaloffset": "0"}
        resolution = "<resolution>5</resolution>"
    stated = " ".join(f'{name}="{value}"' for name, value in (attributes | changed).items() if value)
    return f"""<?xml version="1.0" encoding="utf-16"?>
    <restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo><documenttype>PhilipsECG</documenttype>
      <documentversion>{version}</documentversion></documentinfo>
    <dataacquisition date="{START:%Y-%m-%d}" time="{START:%H:%M:%S}"><machine machineid="5">Cart</machine>
      <signalcharacteristics><samplingrate>500</samplingrate>{resolution}<acquisitiontype>STD-12</acquisitiontype>
      <numberchannelsallocated>{len(rows)}</numberchannelsallocated></signalcharacteristics></dataacquisition>
    <patient><generalpatientdata><patientid>P7</patientid><name><lastname>Müster</lastname>
      <firstname>Erika</firstname></name><age><dateofbirth>1950-01-02</dateofbirth></age><sex>Female</sex>
      </generalpatientdata></patient>
    <waveforms><parsedwaveforms {stated}>{data}
      </parsedwaveforms>{more}</waveforms></restingecgdata>""".encode("utf-16")


# Mortara


def mortara_channel(name, row, *, rate="500", **changed):
    attributes = {
        "NAME": name, "UNITS_PER_MV": "200", "SAMPLE_FREQ": rate, "DURATION": str(len(row)), "BITS": "16",
        "FORMAT": "SIGNED", "ENCODING": "BASE64", "OFFSET": "0", "DATA": base64_of(row),
    }  # fmt: skip
    return f"<CHANNEL {' '.join(f'{key}={chr(34)}{value}{chr(34)}' for key, value in (attributes | changed).items())}/>"


def mortara(*channels):
    return f"""<?xml version="1.0"?><!-- Generated by ELI Link -->
    <ECG ACQUISITION_TIME="{START:%Y%m%d%H%M%S}" AGE="51" AGE_UNITS="YEARS">
    <SUBJECT LAST_NAME="Muster" FIRST_NAME="Erika" ID="P7" GENDER="F" DOB="19500102"/>
    <SOURCE MANUFACTURER="Mortara" MODEL="ELI"/><TYPICAL_CYCLE BITS="16"/>{"".join(channels)}</ECG>""".encode()


def whole_mortara(n=N):
    return mortara(*(mortara_channel(name, row) for name, row in zip(TWELVE, counts(12, n), strict=True)))


SHORT = 2600  # samples, more than the five seconds that a record needs
WHOLE = {  # how a file of each kind is made, and its name
    "aecg": (lambda: whole_aecg(SHORT), "x.xml"),
    "muse": (lambda: whole_muse(SHORT), "x.xml"),
    "philips": (lambda: sierra(counts(12, SHORT)), "x.xml"),
    "philips, not compressed": (lambda: sierra(counts(12, SHORT), compression="Uncompressed"), "x.xml"),
    "mortara": (lambda: whole_mortara(SHORT), "x.xml"),
}
