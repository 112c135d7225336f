"""Stacks: how the system under test is started, watched, acted upon and stopped."""
