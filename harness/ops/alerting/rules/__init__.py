"""Alert and recording rules: read from Prometheus' rule files, checked, evaluated."""
