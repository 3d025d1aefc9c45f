"""Dagster definitions and the command line of the LLM governance warehouse."""
