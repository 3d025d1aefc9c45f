{% macro create_internal_hierarchy_guards() %}
create table if not exists internal.hierarchy_guards (
    name text constraint hierarchy_guards_pkey primary key,
    version bigint not null default 0
);
comment on table internal.hierarchy_guards is 'One row per table that is a tree; its writers update it, so no two of them judge the tree at once.';
{% endmacro %}
