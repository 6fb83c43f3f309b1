"""Has a tool run by the server of ``tool_server.py``: ``tool_client.py SOCKET TOOL ...``.

Started once for each command of a test, so that it imports next to nothing.
"""

from __future__ import annotations

import marshal
import os
import socket
import sys
from collections.abc import Mapping, Sequence


def request(
    path: str,
    command: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    streams: Sequence[int],
) -> int | None:
    """Runs a command, the tool's name first, in ``folder``, with these standard streams.

    Returns its exit status; None if the process crashed or took too long.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [b"\0"], streams)
        connection.sendall(marshal.dumps((list(command), folder, dict(environment))))
        connection.shutdown(socket.SHUT_WR)
        status = connection.recv(1)
    return status[0] if status else None


def main() -> int:
    """Runs the command of this process's arguments, as if it were this process."""
    status = request(sys.argv[1], sys.argv[2:], os.getcwd(), os.environ, (0, 1, 2))
    if status is None:
        print(f"{sys.argv[2]} crashed, or took too long", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
