"""Servers that compress: compressing.py PORT OPTIONS ..., options in JSON, those of the extension, or null for none (any Python 3 with websockets).

Each sends back every message but a text such as "!binary noise 300 2": it makes one of that length up, sends it in as many fragments, and
says whether it comes back the same.
"""

import asyncio
import json
import os
import sys

import websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


def made_up(kind, content, length):
    if content == "noise":
        text = os.urandom(length // 2 + 1).hex()
        return text[:length] if kind == "text" else os.urandom(length)
    line = "Größe: 7 €, price: 42, name: compressing\n"
    text = (line * (length // len(line) + 1))[:length]
    return text if kind == "text" else text.encode()[:length]


def pieces(message, count):
    size = len(message) // count
    cuts = [*range(0, size * count, size), len(message)] if size else [0, len(message)]
    return [message[start:end] for start, end in zip(cuts[:-1], cuts[1:])]


async def serve(connection, path=None):
    async for message in connection:
        if isinstance(message, bytes) or not message.startswith("!"):
            await connection.send(message)
            continue
        kind, content, length, count = message[1:].split()
        message = made_up(kind, content, int(length))
        await connection.send(message if count == "1" else pieces(message, int(count)))
        await connection.send("same" if await connection.recv() == message else "different")


async def main(*arguments):
    servers = []
    for port, options in zip(arguments[::2], arguments[1::2]):
        options = json.loads(options)
        extensions = None if options is None else [ServerPerMessageDeflateFactory(**options)]
        server = websockets.serve(
            serve, "127.0.0.1", int(port), compression=None, extensions=extensions, max_size=None
        )
        servers.append(await server)
    await asyncio.Future()


asyncio.run(main(*sys.argv[1:]))
