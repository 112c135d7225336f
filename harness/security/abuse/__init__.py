"""Abuse of a running gateway: bounded attempts that must be refused, each beside a control that must work."""
