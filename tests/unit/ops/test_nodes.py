"""What the kernel says of instances of this machine, told by a process of the test itself."""

from __future__ import annotations

import socket

from harness.ops.monitoring.nodes import NodeAgent
from harness.ops.targets import Endpoint


def test_an_instance_is_found_by_its_port_and_shares_no_group_with_who_looks() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        said = NodeAgent().samples([Endpoint("here", "here-1", url), Endpoint("far", "far-1", "http://192.0.2.1:80")])
    names = {name for name, _, _ in said["here-1"]}
    assert names == {"container_descriptors_free"}, "its control group is ours"
    assert said["here-1"][0][2] > 0
    assert "far-1" not in said


def test_nobody_who_listens_is_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert NodeAgent().samples([Endpoint("gone", "gone-1", f"http://127.0.0.1:{port}")]) == {}
