"""Starts Synapses by forking, so that the seconds of importing Synapse are spent once and not for each server.

Usage: fork_server.py SOCKET

To start a server, connect to the Unix socket and write one line: the arguments of run_homeserver.py as a JSON list. The answer is
the line "pid N", then what the server writes before its log takes over, and last a NUL with how it ended: "exit code N" or
"signal N". The connection is the server's stdin: when the starter is gone, the server ends.

We end when our own stdin closes. Servers that run then go on until their starters are gone.
"""

import gc
import json
import os
import select
import signal
import socket
import sys

LINE_TIMEOUT_S = 10


def main() -> None:
    # A Ctrl-C in the terminal reaches us too, but is meant for the starter.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    # Whoever connects while Synapse is being imported waits.
    listener.listen(64)
    print("listening", flush=True)

    # Imports install a reactor where there is none, whose epoll descriptor parent and children would then share.
    from synapse.app.complement_fork_proxied_reactor import ProxiedReactor
    from twisted.internet.main import installReactor

    reactor = ProxiedReactor()
    installReactor(reactor)
    import run_homeserver
    import synapse.app.homeserver

    # A collection in a child would touch, and so copy, all pages.
    gc.collect()
    gc.freeze()

    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    servers: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([listener, 0, woken], [], [])
        if 0 in ready and not os.read(0, 4096):
            return
        if woken in ready:
            os.read(woken, 4096)
            tell_of_ended(servers)
        if listener not in ready:
            continue
        connection, _ = listener.accept()
        arguments = read_line(connection)
        if arguments is None:
            connection.close()
            continue
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (listener, *servers.values()):
                descriptor.close()
            os.close(woken)
            os.close(wake)
            become(connection)
            from twisted.internet.epollreactor import EPollReactor

            reactor._install_real_reactor(EPollReactor())
            run_homeserver.run(*arguments)
            return
        servers[pid] = connection


def read_line(connection: socket.socket) -> "list[str] | None":
    connection.settimeout(LINE_TIMEOUT_S)
    try:
        with connection.makefile("r") as file:
            arguments = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    connection.settimeout(None)
    return arguments


def become(connection: socket.socket) -> None:
    """Makes the connection stdin, stdout and stderr."""
    connection.sendall(b"pid %d\n" % os.getpid())
    for descriptor in (0, 1, 2):
        os.dup2(connection.fileno(), descriptor)
    connection.close()


def tell_of_ended(servers: "dict[int, socket.socket]") -> None:
    while servers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        try:
            servers[pid].sendall(b"\0%s" % (b"signal %d" % -code if code < 0 else b"exit code %d" % code))
        except OSError:
            pass  # The starter is gone.
        servers.pop(pid).close()


main()
