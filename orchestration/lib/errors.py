"""The one error a user is meant to read."""


class GovernanceError(Exception):
    """One clear sentence that says what is wrong and what to do about it; never a traceback for the user."""
