"""Plain Python without Dagster: everything the command line and the Dagster definitions share."""
