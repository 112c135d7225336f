"""The part of PromQL that alert rules of RAG teams use, evaluated as Prometheus 2 does (see docs/alerts.md for what is in it)."""
