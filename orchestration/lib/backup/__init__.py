"""Backups that are proven: their files, and every row of what is restored from them."""
