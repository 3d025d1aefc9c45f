"""Fails runs whose process is gone; a failed job is an alert until it succeeds."""
