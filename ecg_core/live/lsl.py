"""Streams of the Lab Streaming Layer, and a stream sent into it."""

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
from .alignment import StampClock
from .leads import Leads, as_sent, first_leads, leads_again, printable
from .stream import Chunk, Notice, Stream

SEARCH_S, SEARCHES = 1.0, 5  # streams answer within a second; one that is not there is waited for
OPEN_S = 5.0  # for the description, and for the connection
PULL_S = 0.1  # a chunk has the samples of so long
PULL_SAMPLES = 4096
SILENT_S = 3.0  # without a sample for so long, a stream is said to be lost
LAST_S = 0.5  # that the last samples have to reach the listeners
NO_NUMBERS: Final = ("string", "undefined")


class LslSource:
    """A stream of the Lab Streaming Layer as a source, named by its name or by NAME@SOURCE_ID.

    Samples are placed by their time stamps in this machine's clock. liblsl's own smoothing of stamps is not used: it
    spreads a drop-out over minutes, so that it could not be told from jitter.

    Raises
    ------
    LiveError
        The layer is not installed, no stream has this name, several have it, or it is none of an ECG.

    """

    def __init__(self, name: str) -> None:
        self._lsl = _library()
        self._closed = threading.Event()
        self._inlet: Any = None
        self._info = _chosen(name, self._lsl)
        try:
            self.stream, self._leads = self._open(self._info)
        except RuntimeError as error:
            raise LiveError(
                f"lsl:{name} is there, but cannot be opened ({error}); check the network between here and "
                f"{self._info.hostname()}."
            ) from error
        self._clock = StampClock(self.stream.fs_hz, len(self.stream.lead_names))

    def chunks(self) -> Iterator[Chunk | Notice]:
        """Samples as they come; a stream that is lost is waited for until ``close``."""
        heard_s, lost = time.monotonic(), False
        while not self._closed.is_set():
            values, stamp_s = self._pull()
            now_s = time.monotonic()
            if len(stamp_s):
                if lost:
                    yield self._notice("is there again")
                heard_s, lost = now_s, False
                yield from self._clock.push(self._leads.arrange(values.T), stamp_s, now_s)
            elif not lost and (self._inlet is None or now_s - heard_s > SILENT_S):
                lost = True
                yield from self._clock.flush()
                yield self._notice(f"sends nothing any more; waiting for {_address(self._info)} to come back")
            if lost:
                try:
                    yield from self._reopened()
                except LiveError as error:
                    yield self._notice(str(error), named=True)
                    break
        yield from self._clock.flush()
        self._inlet = None

    def close(self) -> None:
        """End the stream; ``chunks`` ends within about a second."""
        self._closed.set()

    def _notice(self, text: str, *, named: bool = False) -> Notice:
        return Notice(self._clock.next / self.stream.fs_hz, text if named else f"{self.stream.name} {text}")

    def _pull(self) -> tuple[Any, Any]:
        """What came within the last moment, shapes (n, n_numbers) and (n,); nothing where the connection is lost."""
        if self._inlet is not None:
            try:
                return self._inlet.pull_chunk(timeout=PULL_S, max_samples=PULL_SAMPLES, as_numpy=True)
            except RuntimeError:  # of pylsl's own kinds
                self._inlet = None
        return np.zeros((0, 0), dtype=np.float32), np.zeros(0)

    def _reopened(self) -> Iterator[Notice]:
        """Connect to the stream if it was started anew; a silent one that is still there stays as it is."""
        found = self._lsl.resolve_byprop("name", self._info.name(), 1, SEARCH_S)
        again = [info for info in found if info.source_id() == self._info.source_id()]
        if len(again) != 1 or (self._inlet is not None and again[0].uid() == self._info.uid()):
            return
        try:
            offered, leads = self._open(again[0])
        except RuntimeError:  # gone again
            self._inlet = None
            return
        self._info = again[0]
        self._leads, changed = leads_again(self.stream, offered, leads)
        if changed:
            yield self._notice(changed, named=True)

    def _open(self, info: Any) -> tuple[Stream, Leads]:
        inlet = self._lsl.StreamInlet(info, recover=False, processing_flags=self._lsl.proc_clocksync)
        stream, leads = _described(inlet.info(OPEN_S))
        inlet.open_stream(OPEN_S)
        self._inlet = inlet
        return stream, leads


@contextmanager
def lsl_outlet(stream: Stream, name: str) -> Iterator[Callable[[Chunk], None]]:
    """Send a stream into the layer under a name, from the moment on that somebody listens."""
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

    def send(chunk: Chunk) -> None:
        n = chunk.signal_mv.shape[1]
        outlet.push_chunk(as_sent(chunk, stream).T, began_s + (chunk.first + n - 1) / stream.fs_hz)

    yield send
    time.sleep(LAST_S)


def stream_names() -> list[str]:
    """Names of the streams that the layer has now; one that several share stands with its source id.

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
    except (ImportError, RuntimeError) as error:  # the latter where liblsl itself is missing
        raise LiveError(
            f"The Lab Streaming Layer cannot be loaded ({str(error).splitlines()[0]}): install pylsl, and on a Linux "
            "older than its wheels liblsl too (https://github.com/sccn/liblsl/releases)."
        ) from error
    return pylsl


def _chosen(name: str, lsl: Any) -> Any:
    """The one stream with this name, as NAME or as NAME@SOURCE_ID."""
    seen: Sequence[Any] = ()
    for _ in range(SEARCHES):
        seen = lsl.resolve_streams(SEARCH_S)
        fitting = [info for info in seen if name in (info.name(), _address(info))]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise LiveError(
                f"{len(fitting)} streams are called {name}: {_listed(fitting)}. Name one as lsl:NAME@SOURCE_ID; "
                "of streams with one and the same source id, give one another."
            )
    there = f"there are {_listed(seen)}" if seen else "there is none at all"
    raise LiveError(
        f"lsl:{name}: no such stream was found within {SEARCHES * SEARCH_S:.0f} s ({there}). Start the sender, and "
        "check that both machines are in one network and its firewall lets LSL pass."
    )


def _address(info: Any) -> str:
    return printable(f"{info.name()}@{info.source_id()}")


def _listed(infos: Sequence[Any]) -> str:
    return ", ".join(sorted(f"lsl:{_address(info)} on {info.hostname()}" for info in infos))


def _described(info: Any) -> tuple[Stream, Leads]:
    """What a stream's own description says of it; labels and units are often missing."""
    if info.nominal_srate() <= 0:
        raise LiveError(f"lsl:{info.name()} has no fixed rate; an ECG is needed, which has one.")
    # Expat, which comes with Python, refuses entities that would grow without end.
    root = ElementTree.fromstring(info.as_xml())  # noqa: S314
    if root.findtext("channel_format", "") in NO_NUMBERS:
        raise LiveError(f"lsl:{info.name()} sends text, not samples; choose the stream of the ECG.")
    channels = root.findall("desc/channels/channel")[: info.channel_count()]
    channels += [ElementTree.Element("channel")] * (info.channel_count() - len(channels))
    leads, calibrated = first_leads(tuple(channel.findtext("unit") for channel in channels))
    names = distinct_names([printable(channel.findtext("label") or "") for channel in channels])
    return Stream(printable(info.name()), info.nominal_srate(), names, calibrated), leads
