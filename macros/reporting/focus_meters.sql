{#
    What a charge for usage is called in FOCUS: unit, SkuMeter, unit of the price and of what was consumed, direction of the
    tokens and what a cache did. Prices are per million; what is charged as a whole is one charge.
#}
{% macro focus_meters() %}
    {{ return([
        ('input_tokens', 'Input Tokens', '1000000 Tokens', 'Tokens', 'Input', ''),
        ('cache_read_tokens', 'Cache Read Input Tokens', '1000000 Tokens', 'Tokens', 'Input', 'Read'),
        ('cache_write_tokens', 'Cache Write Input Tokens', '1000000 Tokens', 'Tokens', 'Input', 'Write'),
        ('output_tokens', 'Output Tokens', '1000000 Tokens', 'Tokens', 'Output', ''),
        ('reasoning_tokens', 'Reasoning Output Tokens', '1000000 Tokens', 'Tokens', 'Output', ''),
        ('audio_input_tokens', 'Audio Input Tokens', '1000000 Tokens', 'Tokens', 'Input', ''),
        ('audio_output_tokens', 'Audio Output Tokens', '1000000 Tokens', 'Tokens', 'Output', ''),
        ('requests', 'Requests', '1000000 Requests', 'Requests', '', ''),
        ('other_units', 'Other Units', 'Charges', 'Tokens', '', ''),
        ('all', 'All Usage', 'Charges', 'Tokens', '', ''),
    ]) }}
{% endmacro %}
