"""Clients that misbehave: a program of its own (`python -m harness.faults.crowd`), which takes nothing from the load that is measured.

What they ask is no part of the record's requests: they are the fault, and the users of the load are who may suffer from it.
"""
