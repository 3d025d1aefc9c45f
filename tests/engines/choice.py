"""On which engines an ordinary run tests what; `--engine` and a server of one's own test all that the engine can.

Tables, triggers, loads, accounts, the audit trail and the answers of the reports know no engine: their SQL is the same
on each, so one tests them, `postgres`, the fastest and the strictest. A test runs on others too where what it is about
is made in another way there: hypertables and their chunks, compression, continuous aggregates, policies, retention. On
Community that is most of it, while on the Apache edition rollups are those of `postgres` on the tables of Community:
there it is the build, the engine's own functions, rollups, rules and the move of partitions. `make equality` asks all.
"""

BOTH, COMMUNITY = ("timescaledb", "timescaledb_apache"), ("timescaledb",)

# a file, or a test of it, with the engines that test it beside `postgres`; a mark that leaves `postgres` out needs none
BESIDE_POSTGRES: dict[str, tuple[str, ...]] = {
    # all DDL, every data test and unit test, and nothing that a second build finds to change
    "test_build::test_a_second_build_passes_all_its_tests_and_leaves_the_catalog_as_it_is": BOTH,
    "test_build::test_a_full_refresh_loses_nothing_changes_nothing_and_waits_for_no_application": COMMUNITY,
    "test_drift::test_what_the_fixes_say_heals_all_drifts_at_once": COMMUNITY,
    "test_drift::test_what_an_operator_may_add_is_no_drift_and_what_is_accepted_is_counted": COMMUNITY,
    "test_upgrade": COMMUNITY,
    # rollups, refresh, retention
    "test_engines": BOTH,
    "test_rollups": BOTH,
    "test_rollup_equality": COMMUNITY,
    "test_rollup_evolution": COMMUNITY,
    # on Community a stop in the middle of the fill says the same, and a new measure what other columns would
    "test_rollup_evolution::test_an_interrupted_change_goes_on": (),
    "test_rollup_evolution::test_dimensions_and_types_and_measures_that_go": (),
    "test_rollup_evolution::test_a_change_that_was_taken_back_leaves_nothing": (),
    "test_rollup_zones": COMMUNITY,
    # the transaction that fails, and what is kept, are the same on each
    "test_rollup_zones::test_a_gap_in_the_middle_is_kept_over_changes_of_zone": (),
    "test_rollup_zones::test_a_change_of_zone_that_fails_changes_nothing": (),
    "test_comparison": COMMUNITY,
    # partitions, chunks, and what was compressed
    "test_retention_figures": BOTH,
    # names are joined to the rollups, and given by what refreshes them
    "test_names_of_usage": COMMUNITY,
    # each rule asks the engine in its own words
    "test_rules": BOTH,
    "test_verify::test_a_clean_database_passes": BOTH,
    "test_verify::test_a_reader_of_the_schema_sees_what_the_owner_sees_and_no_secret": COMMUNITY,
    "test_probes": COMMUNITY,
    # chunks, continuous aggregates and their owners
    "test_database_roles": COMMUNITY,
    # an extension's functions in sessions with other settings
    "test_session_settings::test_commands_say_and_do_what_they_do_elsewhere": COMMUNITY,
    # writers of many rows, and who takes them back
    "test_ingest::test_ids_do_not_depend_on_batches_or_on_where_a_load_broke_off": COMMUNITY,
    "test_loads_undone::test_a_load_is_taken_back_wholly": COMMUNITY,
    "test_corrections::test_what_is_replaced_is_in_the_rollups_and_can_be_taken_back": COMMUNITY,
    # names in compressed chunks, and in what continuous aggregates store
    "test_erasure::test_nothing_names_an_erased_person_and_everything_else_is_as_it_was": COMMUNITY,
    "test_demo_command": COMMUNITY,
}


def is_chosen(engine: str, file: str, test: str) -> bool:
    """Whether an ordinary run has the test on this engine; `file` without its ending, `test` without parameters."""
    beside = BESIDE_POSTGRES.get(f"{file}::{test}", BESIDE_POSTGRES.get(file, ()))
    return engine == "postgres" or engine in beside
