{#
    Requests that came without a request_id are called by what they say, no longer by how that is spelled. Nothing changes in
    the tables; when this was applied tells which rows still have names by their spelling, so that they are known again.
#}
{% macro change_0008_ids_by_meaning() %}
select 'requests loaded from here on are called by what they say';
{% endmacro %}
