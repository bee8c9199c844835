"""The processes in which many records are analysed."""

import os
import signal
import subprocess
import sys

import pytest

from ecg_core.batch import workers


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no masks of signals there")
def test_a_process_that_is_started_cannot_be_interrupted_before_it_is_ready():
    """Ctrl-C, which reaches the whole group, waits for it in the first process, and is blocked in the new one."""
    asked = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with pytest.raises(KeyboardInterrupt), workers._interrupts_later():
        os.kill(os.getpid(), signal.SIGINT)
        blocked = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)  # noqa: S603
        assert blocked.stdout == "True\n"
