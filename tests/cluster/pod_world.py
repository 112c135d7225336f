# ruff: noqa: PTH118, PTH119, PTH123, SIM115
# Goes before a program that runs "in a pod" of the stand-in: it is shown the names, addresses, control group and files of that pod.
import builtins
import fnmatch
import io
import json
import os
import socket
import time

_world = json.load(open(os.environ["POD_WORLD"]))
_open, _os_open, _remove, _began = builtins.open, os.open, os.remove, time.monotonic()


def _getaddrinfo(host, port, *_rest, **_options):
    found = _world["names"].get(host.split(".")[0])
    for pattern, what in _world["bad_names"].items():
        if fnmatch.fnmatch(host, pattern):
            found = None if what == "error" else ["203.0.113.7"]
    if not found:
        raise socket.gaierror(-2, "Name or service not known")
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0)) for address in found]


class _Socket(socket.socket):
    def connect(self, address):
        route = _world["routes"].get(f"{address[0]}:{address[1]}")
        if route is None:
            raise ConnectionRefusedError(f"no route to {address}")
        super().connect(("127.0.0.1", route))


def _shown(path):
    return path.replace("/sys/fs/cgroup", _world["group"])


def _cgroup_open(path, *rest, **options):
    if str(path).endswith("/cpu.stat"):
        return io.StringIO(f"usage_usec {round((time.monotonic() - _began) * _world['cpus'] * 1e6)}\n")
    return _open(_shown(path) if isinstance(path, str) else path, *rest, **options)


def _file_open(path, flags, *rest):
    if _world["full"] and path.startswith(_world["full"]):
        return _os_open("/dev/full", os.O_WRONLY)
    return _os_open(os.path.join(_world["group"], os.path.basename(path)), flags, *rest)


def _file_remove(path):
    if not (_world["full"] and path.startswith(_world["full"])):
        _remove(os.path.join(_world["group"], os.path.basename(path)))


socket.getaddrinfo, socket.socket = _getaddrinfo, _Socket
builtins.open, os.open, os.remove = _cgroup_open, _file_open, _file_remove
