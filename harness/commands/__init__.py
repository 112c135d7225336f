"""The commands of `gauntlet`, one module for each of what they are about. They return their exit code; `cli.py` puts them together.

What a command needs is imported when it runs: judging, checking and completion work without the packages that a run needs.
"""
