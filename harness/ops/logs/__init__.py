"""Structured logs of any deployment: followed while they are written, analysed afterwards, kept within bounds."""
