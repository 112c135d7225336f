"""A timer of the kernel that an event loop can wait for: libuv and asyncio round their own to whole milliseconds."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

from harness.record.clock import NS_PER_S

_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1


class _TimeSpec(ctypes.Structure):
    _fields_ = (("s", ctypes.c_long), ("ns", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class KernelTimer:
    """timerfd_create(2) on CLOCK_MONOTONIC: its descriptor is readable once the time is up. Raises OSError where there is none."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._setting = _Setting()
        self._at = ctypes.byref(self._setting)
        self._set = self._libc.timerfd_settime

    def arm(self, t_ns: int) -> None:
        """Ring once, at that monotonic time; at once where it is past. Replaces what was set before."""
        self._setting.value.s, self._setting.value.ns = divmod(max(1, t_ns), NS_PER_S)
        self._set(self.fd, _ABSOLUTE, self._at, None)

    def clear(self) -> None:
        """It has rung; wait for the next time."""
        with suppress(BlockingIOError):
            os.read(self.fd, 8)

    def close(self) -> None:
        os.close(self.fd)
