"""Labelled series inside packages of others (aeon: UCR 135, ECG, Daphnet; streamad), where these are installed. Nothing is fetched."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tests.benchmarks.detection.families import Labelled, windows_around
from tests.benchmarks.detection.measures import segments

# package, file in it, column of values, column of labels, period in points
_FILES = (
    ("streamad", "util/data/uniDS.csv", "value", "label", 24),
    ("aeon", "datasets/data/KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_TEST.csv", "value", "is_anomaly", 170),
    ("aeon", "datasets/data/UnitTest/ecg-diff-count-3_TEST.csv", "value-0", "is_anomaly", 100),
    ("aeon", "datasets/data/UnitTest/ecg-diff-count-3_TRAIN_A.csv", "value-0", "is_anomaly", 100),
    ("aeon", "datasets/data/Daphnet_S06R02E0/S06R02E0.csv", "ankle_vert", "is_anomaly", 60),
    ("aeon", "datasets/data/Daphnet_S06R02E0/S06R02E0.csv", "trunk_vert", "is_anomaly", 60),
)


def public_series() -> Iterator[Labelled]:
    """All that can be found."""
    for package, name, value, label, period in _FILES:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        with (Path(spec.origin).parent / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        marks = np.array([float(row[label]) > 0 for row in rows])
        values = np.array([float(row[value] or "nan") for row in rows])
        yield Labelled(f"public/{Path(name).stem}/{value}", "public", values, marks, windows_around(segments(marks), len(marks)), period)
