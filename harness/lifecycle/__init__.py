"""The parts of a run that belong to no other package: host facts, sampling, the operator's process, live view, abort."""
