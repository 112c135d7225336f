"""Objectives as OpenSLO v1 documents (https://github.com/OpenSLO/OpenSLO), written and read."""
