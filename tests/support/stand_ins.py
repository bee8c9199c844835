"""Stand-ins for tests: an engine without a network, LSL streams without a layer, a clock that waits for nobody."""

from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import numpy as np

from ecg_core.live.stream import Alarm, Update, Vitals
from ecg_core.schema import Attention, Beats

ALARM_EVERY_S = 5


class Engine:
    """Decides a V beat every second of the stream, and an alarm with every fifth."""

    def __init__(self, fs_hz):
        self.fs_hz, self.chunks, self.end, self.decided, self.closed = fs_hz, [], 0, 0, False

    def push(self, chunk):
        self.chunks.append(chunk)
        self.end = max(self.end, chunk.first + chunk.signal_mv.shape[1])
        return self._update(int(self.end / self.fs_hz))

    def lose_signal(self, silent_s):
        return self._update(self.decided)

    def close(self):
        self.closed = True
        return self._update(int(self.end / self.fs_hz) + 1)

    def _update(self, n):
        time_s = np.arange(self.decided, n, dtype=np.float64)
        self.decided = max(n, self.decided)
        probability = np.zeros((len(time_s), 5), dtype=np.float32)
        probability[:, 2] = 0.75
        rr_s = np.where(time_s > 0, 1.0, np.nan)
        beats = Beats(time_s, np.full(len(time_s), "V"), probability, rr_s, np.ones(len(time_s), dtype=bool))
        alarms = tuple(Alarm("v_run", t, t + 1) for t in time_s.tolist() if t % ALARM_EVERY_S == 0)
        attention = Attention(np.zeros((len(time_s), 2), dtype=np.float16), np.zeros(2, dtype=np.float32))
        vitals = Vitals(self.end / self.fs_hz, 60.0, 0, 0, 0, 0, "sinus", True, (False,))
        return Update(beats, attention, alarms, vitals=vitals)


class ListSource:
    """A source of given chunks and notices; an exception among them is raised."""

    def __init__(self, stream, *items):
        self.stream, self.items, self.closed = stream, items, False

    def chunks(self):
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield item

    def close(self):
        self.closed = True


@dataclass
class Clock:
    """A clock that moves on when somebody waits."""

    now_s: float = 100.0

    def monotonic(self):
        return self.now_s

    def wait(self, timeout):
        self.now_s += timeout
        return False


@dataclass
class Info:
    """The description of an LSL stream, with the samples of its inlet."""

    name_: str = "belt"
    source_id_: str = "one"
    labels: tuple = ("I", "II")
    unit: str | None = "mV"
    fs_hz: float = 250.0
    host: str = "ward"
    form: str = "float32"
    script: list = field(default_factory=list)  # pulls of its inlet: (values, stamps), "lost", or None for no samples

    def name(self):
        return self.name_

    def source_id(self):
        return self.source_id_

    def hostname(self):
        return self.host

    def uid(self):
        return str(id(self))

    def nominal_srate(self):
        return self.fs_hz

    def channel_count(self):
        return len(self.labels)

    def as_xml(self):
        unit = "" if self.unit is None else f"<unit>{escape(self.unit)}</unit>"
        channels = "".join(f"<channel><label>{escape(label)}</label>{unit}</channel>" for label in self.labels)
        form = f"<channel_format>{self.form}</channel_format>"
        return f"<info>{form}<desc><channels>{channels}</channels></desc></info>"


class Lsl:
    """As much of pylsl as a source uses; each search finds the streams of the next of the ``rounds``."""

    proc_clocksync = 1

    def __init__(self, *rounds, clock=None):
        self.rounds, self.clock, self.at_end = list(rounds), clock or Clock(), lambda: None

    def resolve_streams(self, wait_time):
        self.clock.wait(wait_time)
        return list(self.rounds[0]) if self.rounds else []

    def resolve_byprop(self, prop, value, minimum, timeout):
        if len(self.rounds) > 1:
            self.rounds.pop(0)
        return [info for info in self.resolve_streams(timeout) if getattr(info, prop)() == value]

    def StreamInlet(self, info, *, recover, processing_flags):
        assert not recover
        assert processing_flags == self.proc_clocksync
        return Inlet(info, self)


class Inlet:
    """Yields the pulls of a script, then calls ``at_end``."""

    def __init__(self, info, lsl):
        self._info, self._lsl, self._script = info, lsl, iter(info.script)

    def info(self, timeout):
        return self._info

    def open_stream(self, timeout):
        pass

    def pull_chunk(self, *, timeout, max_samples, as_numpy):
        assert as_numpy
        self._lsl.clock.wait(timeout)
        step = next(self._script, "end")
        if step == "lost":
            raise RuntimeError("the stream has been lost.")
        if step == "end":
            self._lsl.at_end()
        if step is None or step == "end":
            return np.zeros((0, len(self._info.labels)), dtype=np.float32), np.zeros(0)
        return step
