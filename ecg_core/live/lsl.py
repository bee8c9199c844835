"""Streams of the Lab Streaming Layer (LSL), and a stream sent into it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np

from ..errors import LiveError
from ..records.limits import distinct_names
from ..text import plural
from .alignment import StampClock
from .leads import LeadMapping, channel_values, map_channels, map_reconnected, printable
from .stream import Notice, Stream, StreamChunk

SEARCH_S, SEARCHES = 1.0, 5  # streams answer a search within a second; a missing one is searched for again
OPEN_S = 5.0  # limit for the description, and for the connection
PULL_S = 0.1  # duration of a chunk
PULL_SAMPLES = 4096
SILENT_S = 3.0  # after so long without a sample, a stream is reported as silent
LINGER_S = 0.5  # time for the last samples to reach the listeners
NOT_NUMERIC: Final = ("string", "undefined")  # channel formats


class LslSource:
    """A stream of the Lab Streaming Layer as a source, named by NAME or NAME@SOURCE_ID.

    Samples are aligned by their time stamps in the clock of this machine. The smoothing of stamps that liblsl offers is
    not used: it spreads a drop-out over minutes, so that it looks like jitter.

    Raises
    ------
    LiveError
        The layer is not installed, no stream or several streams have this name, or the stream is not an ECG.

    """

    def __init__(self, name: str) -> None:
        self._lsl = _library()
        self._closed = threading.Event()
        self._inlet: Any = None
        self._info = _find_stream(name, self._lsl)
        try:
            self.stream, self._mapping = self._open(self._info)
        except RuntimeError as error:
            raise LiveError(
                f"lsl:{name} was found, but cannot be opened ({error}); check the network between this machine and "
                f"{self._info.hostname()}."
            ) from error
        self._clock = StampClock(self.stream.fs_hz, len(self.stream.lead_names))

    def chunks(self) -> Iterator[StreamChunk | Notice]:
        """Samples as they arrive; after a lost connection, waits for the stream until ``close``.

        Raises
        ------
        LiveError
            The stream came back with another sampling rate or unit; what came before was yielded.

        """
        last_s, lost = time.monotonic(), False
        while not self._closed.is_set():
            values, stamp_s = self._pull()
            now_s = time.monotonic()
            if len(stamp_s):
                if lost:
                    yield self._notice("is back")
                last_s, lost = now_s, False
                yield from self._clock.push(self._mapping.arrange(values.T), stamp_s, now_s)
            elif not lost and (self._inlet is None or now_s - last_s > SILENT_S):
                lost = True
                yield from self._clock.flush()
                yield self._notice(f"is silent; waiting for {_address(self._info)} to come back")
            if lost:
                yield from self._reconnect()
        yield from self._clock.flush()
        self._inlet = None

    def close(self) -> None:
        """End the stream; ``chunks`` ends within about a second."""
        self._closed.set()

    def _notice(self, text: str, *, named: bool = False) -> Notice:
        return Notice(self._clock.next / self.stream.fs_hz, text if named else f"{self.stream.name} {text}")

    def _pull(self) -> tuple[Any, Any]:
        """Samples of the last PULL_S, shapes (n, n_channels) and (n,); none where the connection is lost."""
        if self._inlet is not None:
            try:
                values, stamp_s = self._inlet.pull_chunk(timeout=PULL_S, max_samples=PULL_SAMPLES, as_numpy=True)
                return values, stamp_s
            except RuntimeError:  # pylsl's errors derive from it
                self._inlet = None
        return np.zeros((0, 0), dtype=np.float32), np.zeros(0)

    def _reconnect(self) -> Iterator[Notice]:
        """Connect to the stream if it was restarted; one that is only silent keeps its connection."""
        found = self._lsl.resolve_byprop("name", self._info.name(), 1, SEARCH_S)
        same = [info for info in found if info.source_id() == self._info.source_id()]
        if len(same) != 1 or (self._inlet is not None and same[0].uid() == self._info.uid()):
            return
        try:
            offered, mapping = self._open(same[0])
        except RuntimeError:  # lost again
            self._inlet = None
            return
        self._info = same[0]
        self._mapping, changes = map_reconnected(self.stream, offered, mapping)
        if changes:
            yield self._notice(changes, named=True)

    def _open(self, info: Any) -> tuple[Stream, LeadMapping]:
        inlet = self._lsl.StreamInlet(info, recover=False, processing_flags=self._lsl.proc_clocksync)
        stream, mapping = _read_description(inlet.info(OPEN_S))
        inlet.open_stream(OPEN_S)
        self._inlet = inlet
        return stream, mapping


@contextmanager
def lsl_outlet(stream: Stream, name: str) -> Iterator[Callable[[StreamChunk], None]]:
    """Send a stream into the layer under a name, as soon as there is a listener."""
    lsl = _library()
    info = lsl.StreamInfo(
        name, "ECG", len(stream.lead_names), stream.fs_hz, "float32", source_id=f"ecg_core replay {stream.name}"
    )
    info.set_channel_labels(list(stream.lead_names))
    if stream.calibrated:
        info.set_channel_units("mV")
    outlet = lsl.StreamOutlet(info)
    while not outlet.wait_for_consumers(SEARCH_S):
        pass
    began_s = lsl.local_clock()

    def send(chunk: StreamChunk) -> None:
        n = chunk.signal_mv.shape[1]
        outlet.push_chunk(channel_values(chunk, stream).T, began_s + (chunk.first + n - 1) / stream.fs_hz)

    yield send
    time.sleep(LINGER_S)


def stream_names() -> list[str]:
    """Names of the streams that the layer offers now; names that several streams share carry the source id.

    Raises
    ------
    LiveError
        The layer is not installed.

    """
    found = _library().resolve_streams(SEARCH_S)
    names = [info.name() for info in found]
    return sorted(info.name() if names.count(info.name()) == 1 else _address(info) for info in found)


def _library() -> Any:
    try:
        import pylsl  # noqa: PLC0415  # loads liblsl, which opens sockets
    except (ImportError, RuntimeError) as error:  # RuntimeError where liblsl itself is missing
        raise LiveError(
            f"The Lab Streaming Layer cannot be loaded ({str(error).splitlines()[0]}): install pylsl, and on a Linux "
            "older than its wheels also liblsl (https://github.com/sccn/liblsl/releases)."
        ) from error
    return pylsl


def _find_stream(name: str, lsl: Any) -> Any:
    """The description of the only stream with this NAME or NAME@SOURCE_ID."""
    found: Sequence[Any] = ()
    for _ in range(SEARCHES):
        found = lsl.resolve_streams(SEARCH_S)
        matching = [info for info in found if name in (info.name(), _address(info))]
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise LiveError(
                f"{plural(len(matching), 'stream')} are called {name}: {_listed(matching)}. Specify one as "
                "lsl:NAME@SOURCE_ID; "
                "if their source ids are the same, change one of them at its sender."
            )
    others = f"found instead: {_listed(found)}" if found else "there are no streams at all"
    raise LiveError(
        f"lsl:{name}: no such stream was found within {SEARCHES * SEARCH_S:.0f} s ({others}). Start the sender, and "
        "check that both machines are in the same network and that its firewall allows LSL."
    )


def _address(info: Any) -> str:
    return printable(f"{info.name()}@{info.source_id()}")


def _listed(infos: Sequence[Any]) -> str:
    return ", ".join(sorted(f"lsl:{_address(info)} on {info.hostname()}" for info in infos))


def _read_description(info: Any) -> tuple[Stream, LeadMapping]:
    """The stream that a description describes; labels and units are often missing."""
    if info.nominal_srate() <= 0:
        raise LiveError(f"lsl:{info.name()} has no fixed sampling rate, as an ECG has; choose the stream of the ECG.")
    # Expat, which comes with Python, refuses entities that would expand without limit.
    root = ElementTree.fromstring(info.as_xml())  # noqa: S314
    if root.findtext("channel_format", "") in NOT_NUMERIC:
        raise LiveError(f"lsl:{info.name()} sends text, not samples; choose the stream of the ECG.")
    channels = root.findall("desc/channels/channel")[: info.channel_count()]
    channels += [ElementTree.Element("channel")] * (info.channel_count() - len(channels))
    mapping, calibrated = map_channels(tuple(channel.findtext("unit") for channel in channels))
    names = distinct_names([printable(channel.findtext("label") or "") for channel in channels])
    return Stream(printable(info.name()), info.nominal_srate(), names, calibrated), mapping
