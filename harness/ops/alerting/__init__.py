"""Alerting: rules of Prometheus evaluated over the operator's own series, the life of an alert, and the ways to people."""
