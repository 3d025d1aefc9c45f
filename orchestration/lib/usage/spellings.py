"""What other programs call the values of a choice, read as ours without being asked."""

from collections.abc import Mapping

# in lower case, with _ for a hyphen or a blank
SPELLINGS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "status": {
        "success": ("ok", "succeeded", "successful", "completed", "status_code_ok"),
        "error": ("failure", "failed", "fail", "errored", "exception", "timeout", "timed_out", "status_code_error"),
        "blocked": (
            "block",
            "content_filter",
            "content_filtered",
            "content_policy_violation",
            "guardrail_blocked",
            "guardrail_intervened",
        ),
        "rate_limited": (
            "rate_limit",
            "ratelimited",
            "rate_limit_error",
            "rate_limit_exceeded",
            "too_many_requests",
            "throttled",
            "resource_exhausted",
        ),
    },
    "operation": {
        "chat": (
            "chat_completion",
            "chat_completions",
            "chat.completion",
            "chat.completions",
            "messages",
            "anthropic_messages",
            "responses",
            "aresponses",
            "generate_content",
            "agenerate_content",
            "converse",
        ),
        "completion": ("acompletion", "completions", "text_completion", "atext_completion"),
        "embedding": ("embeddings", "aembedding", "embed", "text_embedding"),
        "image": ("images", "image_generation", "aimage_generation", "image_edit", "aimage_edit", "image_variation"),
        "audio": (
            "transcription",
            "atranscription",
            "audio_transcription",
            "speech",
            "aspeech",
            "audio_speech",
            "speech_to_text",
            "text_to_speech",
            "tts",
        ),
        "rerank": ("arerank", "reranking"),
        "moderation": ("moderations", "amoderation"),
    },
    "policy_decision": {
        "allow": ("allowed", "passed"),
        "flag": ("flagged",),
        "block": ("blocked", "deny", "denied"),
    },
}
