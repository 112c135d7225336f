"""Stages between a commit and production: build, test, security, deploy, monitor."""
