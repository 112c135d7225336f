"""How well detectors find anomalies: labelled series of many families, scores, and the script that puts them side by side."""
