"""Runs one Synapse in the foreground and ends with whoever started it.

Usage: run_homeserver.py TLS_CERTIFICATE TLS_KEY SYNAPSE_ARGUMENTS...

The starter holds the other end of our stdin. When it is gone, however it went (kill -9 too), the pipe closes, and
Synapse stops: politely, and after ten seconds for certain.
"""

import os
import signal
import sys
import threading
import time

HARD_EXIT_AFTER_S = 10


def end_with_the_starter() -> None:
    # The descriptor and not sys.stdin: the interpreter's shutdown would wait for a lock that a blocked read holds.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(HARD_EXIT_AFTER_S)
    os._exit(1)


def run(certificate: str, key: str, *arguments: str) -> None:
    # A Ctrl-C in the terminal reaches us too, but is meant for the starter, which stops its servers in its own order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_the_starter, daemon=True).start()

    if not os.path.exists(certificate):
        from certificate import write_certificate

        write_certificate(certificate, key)

    sys.argv = ["synapse.app.homeserver", *arguments]
    from synapse.app.homeserver import main as run_synapse

    run_synapse()


if __name__ == "__main__":
    run(*sys.argv[1:])
