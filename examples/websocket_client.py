#!/usr/bin/env python3
"""Sends raw audio from standard input (mono, 16 kHz, 32-bit floats) to pipeline-server and prints what comes back."""

import asyncio
import json
import sys

import websockets


async def send(socket):
    while chunk := await asyncio.to_thread(sys.stdin.buffer.read, 6400):  # 0.1 s
        await socket.send(chunk)
    await socket.send('{"type": "close"}')


async def main(url="ws://127.0.0.1:8765/ws/transcribe"):
    async with websockets.connect(url) as socket:
        sending = asyncio.create_task(send(socket))
        async for message in socket:
            event = json.loads(message)
            if event["type"] in ("partial", "final"):
                print("..." if event["type"] == "partial" else ">", event["text"], flush=True)
        await sending


asyncio.run(main(*sys.argv[1:]))
