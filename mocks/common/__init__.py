"""What the mock provider and the mock vector services share: settings, requests' keys, latency, buckets, the journal."""
