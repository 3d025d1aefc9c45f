"""What Dagster loads: everything below `defs/`."""

from pathlib import Path

import dagster as dg

from orchestration.defs.scheduled import check_settings


@dg.definitions
def defs() -> dg.Definitions:
    """The assets and checks of the warehouse, and what runs when."""
    check_settings()
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
