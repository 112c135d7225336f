"""The run record: everything that happened, appended as it happened, readable after a crash.

Three kinds of source, never mixed: *truth* (what the harness did and measured itself), *telemetry* (what the system under test said of
itself) and *claim* (what a monitoring, diagnosis or recovery component said or did).
"""
