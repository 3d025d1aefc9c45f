{#
    What each provider and model that usage names is called in the reports. A row per spelling that came in; what the
    source said stays in core.llm_metrics and in the rollups, so another rule changes no usage, only this.
#}
{% macro create_internal_model_names() %}
create table if not exists internal.model_names (
    provider text not null,
    model text not null,
    canonical_provider text not null,
    canonical_model text not null,
    base_model text,
    provider_origin text not null,
    origin text not null,
    is_known boolean not null,
    rules text not null,
    named_at timestamptz not null default now(),
    constraint model_names_pkey primary key (provider, model)
);
comment on table internal.model_names is 'One row per provider and model as sources spell them, with the name that reports and prices use.';
comment on column internal.model_names.provider is 'Provider as the source said it.';
comment on column internal.model_names.model is 'Model as the source said it.';
comment on column internal.model_names.canonical_provider is 'The one name of the provider; as said where no rule knows it.';
comment on column internal.model_names.canonical_model is 'The one name of the model; as said where no rule knows it.';
comment on column internal.model_names.base_model is 'Of a fine-tuned model or a regional endpoint: the model it is made from.';
comment on column internal.model_names.provider_origin is 'The rules that gave the name of the provider, or: as said.';
comment on column internal.model_names.origin is 'The rules that gave the name of the model, or: as said.';
comment on column internal.model_names.is_known is 'Whether rules know both the provider and the model.';
comment on column internal.model_names.rules is 'Checksum of the rules by which it was named; a refresh names anew what older ones named.';
comment on column internal.model_names.named_at is 'When it got the present name.';
{% endmacro %}
