{#
    Who made a model and what its family is called, by a regular expression for its name; the first that matches counts. A
    model that none knows has neither.
#}
{% macro model_families() %}
    {{ return([
        ('claude', 'Anthropic', 'Claude'),
        ('gpt-oss', 'OpenAI', 'gpt-oss'),
        ('(chat)?gpt-', 'OpenAI', 'GPT'),
        ('o[1-9](-|$)', 'OpenAI', 'o-series'),
        ('text-embedding-(3|ada)', 'OpenAI', 'text-embedding'),
        ('(whisper|tts-1|dall-e|sora)', 'OpenAI', ''),
        ('gemini', 'Google', 'Gemini'),
        ('gemma', 'Google', 'Gemma'),
        ('(meta-)?(code)?llama', 'Meta', 'Llama'),
        ('(mistral|mixtral|ministral|codestral|magistral|devstral|pixtral|voxtral)', 'Mistral AI', 'Mistral'),
        ('command', 'Cohere', 'Command'),
        ('deepseek', 'DeepSeek', 'DeepSeek'),
        ('(qwen|qwq)', 'Alibaba', 'Qwen'),
        ('grok', 'xAI', 'Grok'),
        ('nova-', 'Amazon', 'Nova'),
        ('titan-', 'Amazon', 'Titan'),
        ('phi-', 'Microsoft', 'Phi'),
        ('jamba', 'AI21 Labs', 'Jamba'),
        ('kimi', 'Moonshot AI', 'Kimi'),
        ('glm-', 'Zhipu AI', 'GLM'),
        ('sonar', 'Perplexity', 'Sonar'),
    ]) }}
{% endmacro %}
