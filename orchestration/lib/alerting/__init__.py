"""Alerts that the project itself raises."""
