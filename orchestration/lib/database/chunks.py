"""What a session needs that reads and changes single requests in compressed chunks of TimescaleDB."""

from orchestration.lib.database.connection import Connection


def ready_for_chunks(connection: Connection) -> None:
    """Lifts a limit and a way of reading that are made for few rows; nothing on a server without TimescaleDB.

    A late row in a compressed chunk lets TimescaleDB decompress a thousand, where its limit means whole tables; its own
    way to read chunks takes fifteen times as long for a lookup by values of another table.
    """
    connection.execute(
        "select set_config(name, value, false) from pg_settings inner join (values"
        " ('timescaledb.max_tuples_decompressed_per_dml_transaction', '0'),"
        " ('timescaledb.enable_chunk_append', 'off')) as wanted (name, value) using (name)"
    )
