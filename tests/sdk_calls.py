"""Calls to a stand-in for OpenAI, and the OTLP file that the real OpenTelemetry SDK writes of them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest

USAGE: dict[str, Any] = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 12},
}
CHAT = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o-2024-08-06", "service_tier": "default"}
ANSWER = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-4o-2024-08-06",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 50,
        "input_tokens_details": {"cached_tokens": 20},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 59,
    },
}
EMBEDDING: dict[str, Any] = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
CHUNKS: list[dict[str, Any]] = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "h"}}]},
    {"choices": [{"index": 0, "delta": {"content": "i"}, "finish_reason": "stop"}]},
    {"choices": [], "usage": USAGE},
]


class Provider(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Says nothing."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked["model"] == "limited":
            self.answer(429, {"error": {"message": "slow down"}})
        elif asked["model"] == "broken":
            self.answer(400, {"error": {"message": "bad"}})
        elif self.path.endswith("/embeddings"):
            self.answer(200, EMBEDDING)
        elif self.path.endswith("/responses"):
            self.answer(200, RESPONSE)
        elif asked.get("stream"):
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for chunk in CHUNKS:
                said = json.dumps({**CHAT, "id": "chatcmpl-2", "object": "chat.completion.chunk", **chunk})
                self.wfile.write(f"data: {said}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")
        else:
            self.answer(200, {**CHAT, "object": "chat.completion", "choices": [ANSWER], "usage": USAGE})

    def answer(self, code: int, said: object) -> None:
        body = json.dumps(said).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def provider() -> Iterator[str]:
    """The stand-in, at its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def write_calls(file: Path) -> None:
    """A chat inside of an agent, one that is streamed, an embedding, a response, and two that fail."""
    from opentelemetry.exporter.otlp.json.file import FileSpanExporter
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracing = TracerProvider(
        resource=Resource.create({"service.name": "shop", "deployment.environment.name": "production"})
    )
    tracing.add_span_processor(BatchSpanProcessor(FileSpanExporter(file)))
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=tracing)
    try:
        with provider() as url, openai.OpenAI(api_key="none", base_url=url, max_retries=0) as client:
            asked: Any = [{"role": "user", "content": "hi"}]
            agent: Any = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 100}
            with tracing.get_tracer("agent").start_as_current_span("invoke_agent", attributes=agent):
                client.chat.completions.create(model="gpt-4o", messages=asked)
            streamed = client.chat.completions.create(
                model="gpt-4o", messages=asked, stream=True, stream_options={"include_usage": True}
            )
            assert len(list(streamed)) == len(CHUNKS)
            client.embeddings.create(model="text-embedding-3-small", input="hi")
            client.responses.create(model="gpt-4o", input="hi")
            with pytest.raises(openai.RateLimitError):
                client.chat.completions.create(model="limited", messages=asked)
            with pytest.raises(openai.BadRequestError):
                client.chat.completions.create(model="broken", messages=asked)
    finally:
        instrumentor.uninstrument()
        tracing.shutdown()
