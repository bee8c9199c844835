"""Live streams: samples arrive in chunks, and beats, alarms and counts come out a fixed delay after them.

A ``Source`` (``replay``, ``lines``, ``lsl``; the latter two as ``arrivals``) yields ``StreamChunk``s; the ``Monitor``
(``engine``, with ``window``, ``detector`` and ``alarms``) turns each chunk into an ``Update``; sinks take both: the
``Recording`` on disk (its samples in ``signal_files``), the ``ConsoleReporter`` on a terminal, the ``RecentStream``
that a page draws. ``drive`` connects the three and closes them.
``console`` holds what the commands ``monitor`` and ``replay`` do, ``session`` runs a stream in a thread for a page.
"""
