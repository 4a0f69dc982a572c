# SPDX-License-Identifier: Apache-2.0
"""Stands between `rove` and a control socket and cuts connections in the middle of what they say.

Usage: cutter.py LISTEN SOCKET CUTS BYTES

The first CUTS connections end after BYTES bytes from the node, or after a third of that from the
client, in turn; later ones are left alone. Prints a line for each cut."""
import os
import select
import socket
import sys


def serve(client, path, most):
    """Passes bytes on until one side ends or the bytes are used up: True when it was cut."""
    node = socket.socket(socket.AF_UNIX)
    node.connect(path)
    left = dict(most)
    other = {client: node, node: client}
    name = {client: "client", node: "node"}
    try:
        while True:
            for end in select.select(list(other), [], [])[0]:
                piece = end.recv(min(65536, max(left[name[end]], 1)))
                if not piece:
                    return False
                left[name[end]] -= len(piece)
                if left[name[end]] <= 0:
                    # Half of the last piece still gets through: it ends inside of a frame.
                    other[end].sendall(piece[: len(piece) // 2])
                    return True
                other[end].sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        return False
    finally:
        node.close()
        client.close()


def main():
    listen, path, cuts, most = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    never = 1 << 60
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(listen + ".new")
    listener.listen(16)
    os.rename(listen + ".new", listen)
    done = 0
    while True:
        client = listener.accept()[0]
        if done == cuts:
            limits = {"client": never, "node": never}
        elif done % 2:
            limits = {"client": most // 3, "node": never}
        else:
            limits = {"client": never, "node": most}
        if serve(client, path, limits):
            done += 1
            print("cut", done, flush=True)


main()
