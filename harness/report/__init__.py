"""Renderers of a verdict: terminal, live view, HTML, JUnit, JSON. They lay out; what is true was decided before."""
