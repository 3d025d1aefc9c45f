{# Cyrillic and Greek letters become the Latin ones they look like, digits letters. #}
{% macro create_function_look_of() %}
create or replace function internal.look_of(value text) returns text
language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
return translate(
    lower(normalize(value, nfkc)),
    'аеорсухкіјѕԁһԛԝӏАВЕКМНОРСТУХІЈЅαονικρυχγϲϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɑɡ01|',
    'aeopcyxkijsdhqwlabekmhopctyxijsaovikpuxycjabezhikmnoptyxiagoll'
);
comment on function internal.look_of(text) is 'How a text looks: two of one look can be taken for one another.';
{% endmacro %}
