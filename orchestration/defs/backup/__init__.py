"""Backups, and the drills that prove them."""
