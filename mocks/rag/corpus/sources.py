"""Where the text comes from: the standard library's docstrings, or a folder of text files."""

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from types import ModuleType

# Modules whose import does nothing but define names, on every platform that the project supports.
_MODULES = """
abc argparse array ast asyncio base64 bisect bz2 calendar cmath cmd code codecs collections concurrent.futures configparser contextlib
contextvars copy csv dataclasses datetime decimal difflib dis email.message enum fileinput fnmatch fractions ftplib functools getopt
gettext glob gzip hashlib heapq hmac html http.client http.cookies imaplib inspect io ipaddress itertools json keyword linecache locale
logging lzma mailbox math mimetypes multiprocessing numbers operator optparse os pathlib pdb pickle pickletools platform plistlib poplib
pprint profile queue quopri random re reprlib sched secrets selectors shelve shlex shutil signal smtplib socket socketserver sqlite3 ssl
stat statistics string stringprep struct subprocess symtable sysconfig tabnanny tarfile tempfile textwrap threading timeit token
tokenize trace traceback tracemalloc types unicodedata unittest urllib.parse urllib.request urllib.robotparser uuid warnings wave
weakref webbrowser xml.dom.minidom xml.etree.ElementTree xmlrpc.client zipapp zipfile zipimport zlib
"""

_SHORTEST_TEXT = 80  # characters; less says nothing that a question could ask about
_FILE_TYPES = (".md", ".txt")
_NOT_AN_ID = re.compile(r"[^\w.]+")


@dataclass(frozen=True)
class Source:
    """Text before it becomes a document; `doc_id` is unique whatever the case, and holds neither blanks nor brackets."""

    doc_id: str
    title: str
    text: str


class SourceError(Exception):
    """The source cannot give the documents asked for."""


def from_standard_library(count: int) -> list[Source]:
    """`count` docstrings of modules, functions, classes and methods, spread evenly over the modules, in a fixed order.

    Raises SourceError where this Python has fewer.
    """
    rows = zip_longest(*(_documented(module) for module in map(_module, _MODULES.split()) if module is not None))
    unique = {source.doc_id.lower(): source for source in chain.from_iterable(rows) if source is not None}
    return _first(list(unique.values()), count, "this Python's standard library")


def from_folder(folder: Path, count: int) -> list[Source]:
    """At most `count` .txt and .md files below `folder`, by path; raises SourceError where there is none or one is not UTF-8."""
    try:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in _FILE_TYPES and path.is_file())
        found = {source.doc_id.lower(): source for source in (_file(folder, path) for path in paths) if source.text.strip()}
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read {folder}: {error}") from error
    return _first(list(found.values()), min(count, max(1, len(found))), f"{folder} (.txt and .md)")


def _first(sources: list[Source], count: int, where: str) -> list[Source]:
    if count < 1:
        raise SourceError(f"asked for {count} documents; ask for at least 1")
    if len(sources) < count:
        raise SourceError(f"{where} has {len(sources)} documents, fewer than the {count} asked for")
    return sources[:count]


def _file(folder: Path, path: Path) -> Source:
    relative = path.relative_to(folder).with_suffix("")
    return Source(_NOT_AN_ID.sub("-", relative.as_posix()), relative.name.replace("_", " "), path.read_text(encoding="utf-8"))


def _module(name: str) -> ModuleType | None:
    """The module, or None where this Python was built without it (`sqlite3`, `lzma`)."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _documented(module: ModuleType) -> Iterator[Source]:
    """The module, its public functions and classes, then the classes' public methods, each by name."""
    classes: list[tuple[str, type]] = []
    yield from _source(module.__name__, module)
    for name, value in _public(module):
        if inspect.isclass(value):
            classes.append((f"{module.__name__}.{name}", value))
        if inspect.isclass(value) or inspect.isroutine(value):
            yield from _source(f"{module.__name__}.{name}", value)
    for path, cls in classes:
        for name, value in sorted(vars(cls).items()):
            if not name.startswith("_") and inspect.isroutine(value):
                yield from _source(f"{path}.{name}", value)


def _public(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The public names that the module itself, or a module below it, defines."""
    for name, value in sorted(vars(module).items()):
        home = getattr(value, "__module__", None)
        if not name.startswith("_") and isinstance(home, str) and f"{home}.".startswith(f"{module.__name__}."):
            yield name, value


def _source(path: str, value: object) -> Iterator[Source]:
    text = inspect.getdoc(value) if not inspect.isclass(value) else value.__doc__
    if isinstance(text, str) and len(text) >= _SHORTEST_TEXT:
        yield Source(path, path, inspect.cleandoc(text))
