{# What a price can be for besides tokens; all but a request are counted by what a source puts into metadata.units. #}
{% macro other_price_units() %}
    {{ return(['requests', 'images', 'seconds', 'hours', 'searches', 'characters', 'pages'] + part_units().keys() | list) }}
{% endmacro %}

{#
    Tokens of a class that have a price of their own, and that class: a source says in metadata.units how many of the class
    they are. They are counted with it, so what their price is more or less than its price comes to its cost.
#}
{% macro part_units() %}
    {{ return({'cache_write_1h_tokens': 'cache_write_tokens', 'cache_read_audio_tokens': 'cache_read_tokens'}) }}
{% endmacro %}

{# The units of which the rollups know how many there were: the classes of tokens, and requests that succeeded. #}
{% macro price_units_by_class() %}{{ return(token_classes() + ['requests']) }}{% endmacro %}

{% macro price_units() %}{{ return(token_classes() + other_price_units()) }}{% endmacro %}

{# Where a list has no price for a class of tokens, the provider bills them as the class they are part of. #}
{% macro class_billed_as(column) %}
    {{ return('output_tokens' if column in ['output_tokens', 'reasoning_tokens', 'audio_output_tokens'] else 'input_tokens') }}
{% endmacro %}
