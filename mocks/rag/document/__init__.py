"""Document: accepts uploads, publishes ingest events and indexes them."""
