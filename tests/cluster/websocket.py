"""The server's half of WebSocket (RFC 6455), as far as `exec` and `portforward` need it: whole frames, their first byte a channel."""

from __future__ import annotations

import base64
import hashlib
import struct
import threading
from typing import BinaryIO

CHANNELS = "v4.channel.k8s.io"
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE, _PING, _PONG = 0x8, 0x9, 0xA


def accept(key: str) -> dict[str, str]:
    """Headers of the answer that switches protocols."""
    digest = base64.b64encode(hashlib.sha1(key.encode() + _MAGIC).digest()).decode()
    return {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": digest, "Sec-WebSocket-Protocol": CHANNELS}


class WebSocket:
    """One connection after the handshake. `send` may be called from several threads."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = threading.Lock()

    def receive(self) -> bytes | None:
        """The next message; None when the other side is done."""
        while True:
            head = self._reader.read(2)
            if len(head) < 2:
                return None
            opcode, length = head[0] & 0x0F, head[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self._reader.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._reader.read(8))
            mask = self._reader.read(4) if head[1] & 0x80 else b"\0\0\0\0"
            data = bytes(byte ^ mask[n % 4] for n, byte in enumerate(self._reader.read(length)))
            if opcode == _CLOSE:
                return None
            if opcode == _PING:
                self._frame(_PONG, data)
            elif opcode != _PONG:
                return data

    def send(self, channel: int, data: bytes) -> None:
        self._frame(0x2, bytes([channel]) + data)

    def close(self) -> None:
        try:
            self._frame(_CLOSE, struct.pack(">H", 1000))
        except (OSError, ValueError):
            return  # the other side was quicker

    def _frame(self, opcode: int, data: bytes) -> None:
        length = len(data)
        size = (
            bytes([length])
            if length < 126
            else b"\x7e" + struct.pack(">H", length)
            if length < 1 << 16
            else b"\x7f" + struct.pack(">Q", length)
        )
        with self._lock:
            self._writer.write(bytes([0x80 | opcode]) + size + data)
            self._writer.flush()
