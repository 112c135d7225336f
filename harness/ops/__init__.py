"""The operator: watches telemetry, raises alerts, diagnoses over the dependency graph, acts, escalates.

It sees telemetry only. It is started with a targets file that any deployment could write, and speaks through the same HTTP
interfaces that a team's own Alertmanager, diagnosis service or SRE agent would use.
"""
