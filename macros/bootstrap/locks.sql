{#
    Keys of the advisory locks that dbt takes. Those of Python are in orchestration/lib/database/locks.py, and a test sees to it
    that all are distinct. `build`: one writer of DDL at a time, to the end of its transaction, so two builds at once are both
    right; with a second key one rollup or partitioned table. `schema_changes`: one applier at a time, held by its session. `seal`: one sealer of
    the audit trail at a time, to the end of its transaction.
#}
{% macro lock_key(name) %}
    {{ return({'build': 727001, 'schema_changes': 727002, 'seal': 727007}[name]) }}
{% endmacro %}
