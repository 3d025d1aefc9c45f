{#
    First half of `governance rebuild-rollups`: the next build stores each rollup anew, also in another reporting zone. What
    raw rows no longer cover is kept (create_rollup_version_functions).
#}
{% macro detach_rollups() %}
    {% do run_query("update internal.rollup_state set definition = ''; commit") %}
{% endmacro %}
