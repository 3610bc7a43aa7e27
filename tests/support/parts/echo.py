"""Sends back every message: echo.py tcp PORT | tls PORT CERTIFICATE KEY | unix PATH (any Python 3 with websockets)."""

import asyncio
import ssl
import sys

import websockets


async def echo(connection, path=None):
    async for message in connection:
        await connection.send(message)


async def main(kind, place, *identity):
    if kind == "unix":
        server = websockets.unix_serve(echo, place)
    else:
        context = None
        if kind == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*identity)
        server = websockets.serve(echo, "127.0.0.1", int(place), ssl=context)
    async with server:
        await asyncio.Future()


asyncio.run(main(*sys.argv[1:]))
