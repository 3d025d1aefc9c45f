"""The demo organisation: pure generation (catalogue, organisation, usage, activity), loading, summary, the demo run."""
