{# Tokens that a cache keeps for an hour, and audio that is read from one, have prices of their own. #}
{% macro change_0042_prices_of_parts() %}
alter table if exists core.model_prices
    drop constraint if exists model_prices_unit_check,
    add constraint model_prices_unit_check check (unit in (
        'input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens', 'reasoning_tokens', 'audio_input_tokens',
        'audio_output_tokens', 'requests', 'images', 'seconds', 'hours', 'searches', 'characters', 'pages',
        'cache_write_1h_tokens', 'cache_read_audio_tokens'
    )) not valid;
alter table if exists core.applied_unit_prices
    drop constraint if exists applied_unit_prices_unit_check,
    add constraint applied_unit_prices_unit_check check (unit in (
        'input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens', 'reasoning_tokens', 'audio_input_tokens',
        'audio_output_tokens', 'requests', 'images', 'seconds', 'hours', 'searches', 'characters', 'pages',
        'cache_write_1h_tokens', 'cache_read_audio_tokens'
    )) not valid;
alter table if exists seeds.model_price_list
    add column if not exists cache_write_1h_tokens numeric,
    add column if not exists cache_read_audio_tokens numeric;
{% endmacro %}
