"""Lines of text as a stream: what is written is read back, and nothing that a sender writes ends the session."""

import os
import socket
import threading
from contextlib import closing, suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stand_ins import Clock

from ecg_core.errors import LiveError
from ecg_core.live import line_format, lines
from ecg_core.live.line_format import (
    MAX_LINE,
    MAX_LINES_BEFORE_HEADER,
    LineReader,
    has_token,
    header_line,
    read_header,
    sample_lines,
)
from ecg_core.live.lines import InputFeed, LineSource, TcpFeed, parse_port, tcp_sender
from ecg_core.live.stream import Notice, Stream, StreamChunk

HEADER = b'{"name": "box", "fs_hz": 100, "leads": ["I", "II"], "unit": "mV"}\n'


def read(*blocks, every_s=0.0):
    """Indices, samples and notices of bytes that arrive in blocks."""
    reader, items = LineReader(), []
    for number, block in enumerate(blocks):
        items += reader.feed(block, number * every_s)
    items += reader.end(len(blocks) * every_s)
    return reader, *split(items)


def split(items):
    items = list(items)
    chunks = [item for item in items if isinstance(item, StreamChunk)]
    index = [n for c in chunks for n in range(c.first, c.first + c.signal_mv.shape[1])]
    signal = np.concatenate([c.signal_mv for c in chunks], axis=1) if chunks else np.zeros((2, 0))
    return index, signal, [item.text for item in items if isinstance(item, Notice)]


# The format


@given(st.lists(st.integers(1, 40), max_size=20), st.booleans())
@settings(max_examples=30)
def test_what_is_written_is_read_back_however_it_is_cut_into_blocks(cuts, calibrated):
    stream = Stream("box", 100.0, ("I", "aVR, right"), calibrated)
    signal = np.random.default_rng(0).normal(0, 1, (2, 57)).astype(np.float32)
    signal[1, 5:9] = np.nan
    text = header_line(stream) + sample_lines(StreamChunk(7, signal), stream)
    edges = np.cumsum([0, *cuts]).tolist()
    blocks = [text[a:b] for a, b in zip(edges, [*edges[1:], len(text)], strict=True)]
    reader, index, got, notices = read(*[block for block in blocks if block])
    assert reader.stream == stream
    assert index == list(range(57))
    assert np.allclose(got, signal, rtol=1e-5, equal_nan=True)
    assert notices == []


def test_single_lines_become_few_chunks_and_none_is_held_back_for_long():
    reader = LineReader()
    list(reader.feed(HEADER, 0.0))
    came = [list(reader.feed(b"%d,1,2\n" % n, 0.0)) for n in range(25)]
    assert [item.signal_mv.shape[1] for items in came for item in items] == [10, 10]
    assert [c.signal_mv.shape[1] for c in reader.feed(b"", 0.0)] == [5]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (b"1,2", (1, 2)), (b" 1 , -2.5e-1 ", (1, -0.25)), (b",2", (np.nan, 2)), (b" , ", (np.nan, np.nan)),
        (b"nan,2", (np.nan, 2)), (b"inf,-inf", (np.nan, np.nan)), (b"1e300,2", (np.nan, 2)),
        (b"9e23,2", (np.nan, 2)),
    ],
)  # fmt: skip
def test_a_value_that_is_missing_or_infinite_is_missing(values, wanted):
    _, _, signal, notices = read(HEADER + b"0," + values + b"\r\n")
    assert np.array_equal(signal[:, 0], np.float32(wanted), equal_nan=True)
    assert notices == []


@pytest.mark.parametrize(
    "bad",
    [
        b"hello", b"1,2", b"1,2,3,4", b"1,2,x", b"1_2,2,3", b"1,2_0,3", b"1.5,2,3", b"-1,2,3", b",2,3",
        b"\x00\xff\xfe,1,2", b"{1,2,3}",
        b'{"fs_hz": 100}', b"9" * 5000, b"1,2," + b"3" * MAX_LINE,
    ],
)  # fmt: skip
def test_a_malformed_line_is_ignored_and_reported(bad):
    _, index, _, notices = read(HEADER, b"0,1,1\n" + bad + b"\n1,1,1\n2,1,1\n")
    assert index == [0, 1, 2]
    assert len(notices) == 1
    assert notices[0].startswith("1 malformed line was ignored, the last one: ")
    assert len(notices[0]) < 200
    assert notices[0].isprintable()


def test_empty_lines_and_comments_are_not_malformed():
    assert read(b"\n# booted\r\n" + HEADER + b"\n  \n# gain 6\n0,1,1\n")[3] == []


def test_malformed_lines_are_counted_and_reported_at_most_once_a_second():
    _, index, _, notices = read(HEADER, *[b"oops\n"] * 35, b"0,1,1\n", every_s=0.1)
    assert [int(notice.split()[0]) for notice in notices] == [1, 10, 10, 10, 4]
    assert index == [0]


def test_an_endless_line_takes_no_memory_and_is_one_malformed_line():
    reader = LineReader()
    list(reader.feed(HEADER, 0.0))
    for _ in range(1000):
        list(reader.feed(b"1" * 10_000, 0.0))
        assert len(reader._splitter._begun) <= MAX_LINE
    _, _, notices = split(list(reader.feed(b",1,1\n0,1,1\n", 0.0)))
    assert notices[0].startswith("1 malformed line was")


def test_an_unfinished_line_at_the_end_is_no_sample():
    _, index, _, notices = read(HEADER + b"0,1,1\n1,1,2.")
    assert index == [0]
    assert "the last one: '1,1,2.'" in notices[0]


def test_samples_belong_where_their_numbers_put_them():
    text = b"".join(b"%d,1,1\n" % n for n in (40, 41, 45, 44, 41, 46, 39))
    assert read(HEADER + text)[1] == [0, 1, 5, 4, 1, 6]


def test_a_counter_of_one_second_wraps_without_a_loss():
    _, index, _, notices = read(HEADER, *[b"".join(b"%d,1,1\n" % n for n in range(100))] * 5, every_s=1.0)
    assert index == list(range(500))
    assert notices == []


@pytest.mark.parametrize("wrong", [b"40005", b"4", b"999999999999"])
def test_a_damaged_number_makes_no_gap_and_moves_no_time(wrong):
    lines = [b"%d,1,1" % n for n in range(4000, 4100)]
    lines[50] = wrong + b",1,1"
    _, index, _, notices = read(HEADER + b"\n".join(lines) + b"\n")
    assert index == [n for n in range(100) if n != 50]
    assert f"{wrong.decode()}, a number out of its turn" in notices[0]


def test_a_jump_that_the_next_line_confirms_is_a_gap():
    text = b"".join(b"%d,1,1\n" % n for n in (0, 1, 40_000, 40_001, 40_002))
    assert read(HEADER + text)[1] == [0, 1, 40_000, 40_001, 40_002]


@pytest.mark.parametrize("at", [0, 50, 96], ids=["first", "amid", "late"])
@pytest.mark.parametrize("wrong", [b"9%03d", b"4%03d0", b"%03d"])
def test_three_lines_with_the_same_damaged_digit_move_no_time(at, wrong):
    """Three damaged bytes; where they are the first of a stream, its beginning is lost, and no time after it."""
    lines = [b"%d,%d,1" % (n, n) for n in range(4000, 4200)]
    for n in range(at, at + 3):
        lines[n] = wrong % n + b",1,1"
    _, index, signal, _ = read(HEADER + b"\n".join(lines) + b"\n", every_s=0.01)
    steps = np.diff(index[-100:])
    assert (steps == 1).all()
    assert signal[0, -1] == 4199
    assert index[-1] == 199 or at == 0


def test_a_damaged_line_within_a_jump_does_not_hide_it():
    numbers = [*range(20), *range(7000, 7003), 91, *range(7004, 7030)]
    _, index, _, notices = read(HEADER + b"".join(b"%d,1,1\n" % n for n in numbers))
    assert index[20] >= 7000
    assert index[-1] == 7029
    assert "out of its turn" in notices[0]


def test_after_a_jump_back_and_forth_the_time_is_that_of_the_numbers():
    numbers = [*range(100), *range(6000, 6004), *range(104, 200)]
    assert read(HEADER + b"".join(b"%d,1,1\n" % n for n in numbers))[1] == [*range(100), *range(104, 200)]


@given(st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_damaged_bytes_move_no_sample_for_good(random):
    lines = [bytearray(b"%d,0.5,0.5\n" % n) for n in range(7000, 7500)]
    for line in random.sample(lines[10:480], 60):
        for _ in range(random.randint(1, 3)):
            line[random.randrange(len(line))] = random.randrange(256)
    _, index, _, _ = read(HEADER + b"".join(map(bytes, lines)))
    assert index[-15:] == list(range(485, 500))
    assert max(index) == 499


def test_a_second_header_maps_leads_by_name():
    again = b'{"name": "box", "fs_hz": 100, "leads": ["V1", "ii"], "unit": "uV"}\n'
    _, index, signal, notices = read(HEADER + b"0,1,2\n" + again + b"1,3000,4000\n")
    assert index == [0, 1]
    assert np.isnan(signal[0, 1])
    assert signal[1].tolist() == [2, 4]
    assert notices == ["box came back without I and with V1, which is ignored"]


def test_a_header_of_another_rate_ends_the_stream():
    reader = LineReader()
    list(reader.feed(HEADER, 0.0))
    with pytest.raises(LiveError, match="came back with 200 Hz instead of 100 Hz"):
        list(reader.feed(HEADER.replace(b"100", b"200"), 0.0))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [(b'"box"', b'"belt B"', "A sender named belt B is not box"), (b'"mV"', b'"furlong"', "without a known unit")],
)
def test_another_sender_or_unit_does_not_go_on_as_the_same_stream(feed, old, new, sentence):
    """Over a port it is refused, and the stream waits for its own sender; from a file it ends with an error."""
    other = HEADER.replace(old, new)
    with piped(HEADER + b"0,1,2\n" + other + b"1,1,2\n") as file, pytest.raises(LiveError, match=sentence):
        list(LineSource(InputFeed(file)).chunks())
    with connect(feed) as sender:
        sender.sendall(HEADER + b"0,1,1\n1,1,1\n")
        source = LineSource(feed)
    items, sent = [], False
    for item in source.chunks():
        items.append(item)
        if isinstance(item, Notice) and "has disconnected" in item.text and not sent:
            sent = True
            with connect(feed) as second:
                second.sendall(other + b"2,1,1\n3,1,1\n")
        elif isinstance(item, Notice) and "refused" in item.text:
            with connect(feed) as own:
                own.sendall(HEADER + b"9,1,1\n10,1,1\n11,1,1\n")
        elif isinstance(item, StreamChunk) and item.first >= 9:
            source.close()
    index, _, notices = split(items)
    assert index[:2] == [0, 1] and index[2:] == [9, 10, 11]
    assert any(sentence in notice for notice in notices)


@pytest.mark.parametrize(
    "header",
    [
        b"{", b"{}", b"{]", b'{"fs_hz": 100}', b'{"fs_hz": "fast", "leads": ["I"]}', b'{"fs_hz": 100, "leads": "I"}',
        b'{"fs_hz": 100, "leads": []}', b'{"fs_hz": 5, "leads": ["I"]}', b'{"fs_hz": NaN, "leads": ["I"]}',
        b'{"fs_hz": null, "leads": ["I"]}', b'{"name": 5, "fs_hz": 100, "leads": ["I"]}',
        b'{"fs_hz": 100, "leads": [' + b'"I",' * 64 + b'"I"]}', b'{"a":' * 3000,
    ],
)  # fmt: skip
def test_a_wrong_header_is_refused_with_a_sentence(header):
    with pytest.raises(LiveError) as error:
        read_header(header)
    assert len(str(error.value)) < 300


def test_names_contain_nothing_that_a_terminal_would_obey():
    stream, _ = read_header(b'{"name": "a\\u001b[2Jb", "fs_hz": 100, "leads": ["I\\nI"]}')
    assert (stream.name, stream.lead_names) == ("a[2Jb", ("II",))


def test_a_connection_without_a_header_does_not_go_on_with_the_stream_of_another():
    reader = LineReader()
    items = [*reader.feed(HEADER + b"0,1,1\n1,1,1\n", 0.0), *reader.end(1.0)]
    items += [*reader.feed(b"2,9,9\n3,9,9\n", 2.0), *reader.feed(HEADER + b"4,1,1\n", 3.0), *reader.end(4.0)]
    index, signal, _ = split(items)
    assert index == [0, 1, 4]
    assert (signal == 1).all()


def test_lines_without_a_header_are_refused_before_long():
    with pytest.raises(LiveError, match="without a header; expected first a line such as"):
        read(b"0,1,1\n" * (MAX_LINES_BEFORE_HEADER + 1))


@given(st.binary(max_size=300))
@settings(max_examples=100)
def test_no_bytes_end_the_session(junk):
    with suppress(LiveError):  # junk that happens to be a header of another rate
        _, index, signal, _ = read(HEADER + b"0,1,1\n", junk, b"\n5,1,1\n")
        assert index[-1] == 5 or b"," in junk
        assert signal.dtype == np.float32


# Standard input


def piped(data):
    """A pipe that holds some bytes."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(data)
    return os.fdopen(reading, "rb")


def test_standard_input_is_read_to_its_end():
    with piped(HEADER + b"0,1,2\n1,1,2\n2,1") as file:
        index, signal, notices = split(LineSource(InputFeed(file)).chunks())
    assert index == [0, 1]
    assert signal[:, 1].tolist() == [1, 2]
    assert len(notices) == 1


@pytest.mark.parametrize("data", [b"", b"hello\n"])
def test_an_input_that_is_no_stream_is_refused(data):
    with piped(data) as file, pytest.raises(LiveError, match="ended before a header"):
        LineSource(InputFeed(file))


def test_a_silent_input_is_reported_once(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(lines, "time", clock)

    class Feed:
        name, reconnects = "standard input", False
        blocks = iter([HEADER, b"0,1,1\n", *[b""] * 300, b"1,1,1\n", b"", None])

        def read(self):
            clock.wait(lines.POLL_S)
            return next(self.blocks)

        def close(self):
            pass

    index, _, notices = split(LineSource(Feed()).chunks())
    assert index == [0, 1]
    assert notices == [
        "standard input: the sender is silent; waiting for it",
        "standard input: the sender is back after 15 s",
    ]  # fmt: skip


# A port of this machine


@pytest.fixture
def feed():
    with closing(TcpFeed(0)) as feed:
        yield feed


def connect(feed):
    return socket.create_connection((lines.HOST, feed.port), timeout=5)


def test_only_this_machine_can_send(feed):
    assert feed._listener.getsockname()[0] == "127.0.0.1"


def test_a_sender_that_reconnects_goes_on_by_its_numbers(feed):
    with connect(feed) as sender:
        sender.sendall(HEADER + b"0,1,1\n1,1,1\n")
        source = LineSource(feed)
    items = []
    for item in source.chunks():
        items.append(item)
        if isinstance(item, Notice) and "has disconnected" in item.text and len(items) < 4:
            with connect(feed) as sender:
                sender.sendall(HEADER + b"9,1,1\n")
        elif isinstance(item, Notice) and "has disconnected" in item.text:
            source.close()
    index, _, notices = split(items)
    assert index == [0, 1, 9]
    assert [notice.split(": ")[1] for notice in notices] == [
        "the sender has disconnected; waiting for it",
        "the sender is back after 0 s",
        "the sender has disconnected; waiting for it",
    ]


def test_a_second_sender_is_refused_with_a_line(feed):
    with connect(feed) as sender:
        sender.sendall(HEADER)
        source = LineSource(feed)
        with connect(feed) as second:
            sender.sendall(b"0,1,1\n")
            chunks = source.chunks()
            next(chunks)
            while feed.read():
                pass
            assert b"has a sender already" in second.recv(200)
            assert second.recv(200) == b""


def test_a_sender_that_reconnects_at_once_is_not_refused_for_its_old_connection(feed):
    with connect(feed) as sender:
        sender.sendall(HEADER)
        source = LineSource(feed)
        sender.sendall(b"0,1,1\n")
    with connect(feed) as again:
        again.sendall(HEADER + b"1,1,1\n")
        chunks = source.chunks()
        index = []
        while 1 not in index:
            index += split([next(chunks)])[0]
    assert index == [0, 1]


def test_a_sender_without_a_header_is_refused_and_the_next_one_is_accepted(feed):
    answer = []

    def send():
        with connect(feed) as wrong:
            wrong.sendall(b'{"fs_hz": 3}\n')
            answer.append(wrong.recv(500))
        with connect(feed) as right:
            right.sendall(HEADER)

    sender = threading.Thread(target=send)
    sender.start()
    assert LineSource(feed).stream.name == "box"
    sender.join()
    assert b"expected a line such as" in answer[0]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + HEADER + b"0,1,1\n", b"no web server"),
        (b"", b"No header came within"),
        (HEADER[:-1], b"No header came within"),
    ],
    ids=["a web page", "nothing", "no whole line"],
)
def test_a_web_page_and_a_silent_connection_hold_no_place(feed, monkeypatch, sent, reason):
    monkeypatch.setattr(lines, "GREETING_S", 0.2)
    answer = []

    def send():
        with connect(feed) as wrong:
            wrong.sendall(sent)
            answer.append(wrong.recv(500))
        with connect(feed) as right:
            right.sendall(HEADER.replace(b"box", b"belt"))

    sender = threading.Thread(target=send)
    sender.start()
    assert LineSource(feed).stream.name == "belt"
    sender.join()
    assert reason in answer[0]


PHRASE = 'p\u00e4ss"word'
WRONG = Stream("box", 100.0, ("I", "II"))


@pytest.mark.parametrize(
    "first",
    [
        HEADER, b"0,1,1\n" + header_line(WRONG, token=PHRASE), b"# boot\n", b"x" * 5000 + b"\n",
        header_line(WRONG, token=PHRASE[:-1]), HEADER.replace(b'"unit"', b'"token": 5, "unit"'),
        PHRASE.encode() + b"\n", b"[]\n", b'"token"\n',
    ],
)  # fmt: skip
def test_a_sender_without_the_token_in_its_first_line_is_refused_and_holds_no_place(first):
    answer = []
    with closing(TcpFeed(0, token=PHRASE)) as feed:

        def send():
            with connect(feed) as wrong:
                wrong.sendall(first)
                answer.append(wrong.recv(500))
            with tcp_sender(Stream("belt", 100.0, ("I",)), feed.port, token=PHRASE) as push:
                push(StreamChunk(0, np.ones((1, 1), dtype=np.float32)))

        sender = threading.Thread(target=send)
        sender.start()
        source = LineSource(feed)
        assert source.stream.name == "belt"
        assert split([next(source.chunks())])[0] == [0]
        sender.join()
    assert b'The first line must be the header, with the "token"' in answer[0]
    assert PHRASE.encode() not in answer[0]


def test_the_token_is_compared_in_constant_time(monkeypatch):
    compared = []
    monkeypatch.setattr(line_format.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    assert has_token(b'{"token": "abc"}', "abc")
    assert not has_token(b'{"token": "abd"}', "abc")
    assert compared == [(b"abc", b"abc"), (b"abd", b"abc")]


def test_another_rate_ends_the_stream_and_the_sender_gets_the_reason(feed):
    with connect(feed) as sender:
        sender.sendall(HEADER)
        source = LineSource(feed)
        sender.sendall(HEADER.replace(b"100", b"500"))
        with pytest.raises(LiveError, match="came back with 500 Hz"):
            list(source.chunks())
        assert b"came back with 500 Hz" in sender.recv(500)


def test_a_port_in_use_is_refused(feed):
    with pytest.raises(LiveError, match=f"tcp:{feed.port} cannot be opened"):
        TcpFeed(feed.port)


@pytest.mark.parametrize("text", ["tcp:", "tcp:x", "tcp:-1", "tcp:65536", "tcp:\u0665", "tcp:" + "9" * 5000])
def test_a_wrong_port_is_refused(text):
    with pytest.raises(LiveError, match="expected tcp:PORT with a number from 1024 to 65535"):
        parse_port(text)


def test_what_is_sent_to_a_port_arrives_unchanged(feed):
    stream = Stream("belt", 100.0, ("I", "II"))
    signal = np.arange(2000, dtype=np.float32).reshape(2, 1000)

    def send():
        with tcp_sender(stream, feed.port) as push:
            for at in range(0, 1000, 50):
                push(StreamChunk(at, signal[:, at : at + 50]))

    sender = threading.Thread(target=send)
    sender.start()
    source, items = LineSource(feed), []
    for item in source.chunks():
        items.append(item)
        if isinstance(item, Notice):
            source.close()
    sender.join()
    index, got, _ = split(items)
    assert source.stream == stream
    assert index == list(range(1000))
    assert (got == signal).all()


def test_a_port_where_no_program_listens_is_refused_with_what_to_start():
    with closing(TcpFeed(0)) as feed:
        port = feed.port
    with (
        pytest.raises(LiveError, match=f"Start the monitor on tcp:{port} first"),
        tcp_sender(Stream("belt", 100.0, ("I",)), port),
    ):
        pass


def test_a_refused_sender_gets_the_reason(feed):
    stream = Stream("belt", 100.0, ("I",))
    with connect(feed) as first, pytest.raises(LiveError, match="has a sender already"):
        feed.read()
        first.sendall(HEADER)
        with tcp_sender(stream, feed.port) as push:
            while feed.read():
                pass
            for at in range(10_000):
                push(StreamChunk(at * 100, np.zeros((1, 100), dtype=np.float32)))
