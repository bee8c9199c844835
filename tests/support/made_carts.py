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


SHORT = 2600  # samples, more than the five seconds that a record needs
WHOLE = {  # how a file of each kind is made, and its name
    "aecg": (lambda: whole_aecg(SHORT), "x.xml"),
    "muse": (lambda: whole_muse(SHORT), "x.xml"),
}
