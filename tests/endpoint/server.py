"""An OpenAI-compatible server with chosen faults, as a process of its own.

    python -m tests.endpoint.server --brain=tests.endpoint.brains \\
        --log=calls.jsonl --faults=0.3 --seed=1

Prints its base URL and serves until it is ended. The brain is a module (or module:function) with
`answer(schema_name, system, user, schema, rng) -> dict`, and for questions without a schema
`write(system, user, rng) -> str`; it may have `identity(schema_name, system,
user) -> str`, which says what counts as the same question for --most_content_faults, and
`invent(answer, schema) -> dict`, which spoils an answer's values. Faults are drawn from the seed,
the question and how often it was asked, so they do not depend on the order of arrival. The log has
one JSON object a call; status 200 is a call that was paid for."""

import argparse
import hashlib
import importlib
import json
import random
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from divsyn_jax.endpoint.answers.parsing import RE_ASK_HEADING, SCHEMA_HEADING

TRANSPORT_FAULTS = ("429_retry_after", "429", "500", "502_html", "dropped", "slow", "garbled")
CONTENT_FAULTS = ("truncated_json", "wrong_keys", "invented_values", "empty")
_SCHEMA = re.compile(re.escape(SCHEMA_HEADING) + r" \(([^)]*)\):\n(\{.*\})")
_TOKENS = re.compile(r"\w+|[^\w\s]")


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--brain", default="tests.endpoint.brains")
    parser.add_argument("--log", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=float, default=0.0, help="share of calls that fail")
    parser.add_argument("--kinds", default=",".join(TRANSPORT_FAULTS + CONTENT_FAULTS))
    parser.add_argument(
        "--most_content_faults",
        type=int,
        default=1,
        help="content faults in a row for one question",
    )
    parser.add_argument("--retry_after", default="0.05")
    parser.add_argument("--slow_s", type=float, default=1.0)
    parser.add_argument("--latency_s", type=float, default=0.0)
    parser.add_argument("--admit", type=int, default=0, help="calls at a time; others get 429")
    parser.add_argument(
        "--truncate", default="", help="first:N or last:N tokens of the prompt are read"
    )
    parser.add_argument(
        "--ignore_schema", action="store_true", help="takes response_format and does not act on it"
    )
    parser.add_argument(
        "--fenced", action="store_true", help="answers inside prose and a code fence"
    )
    parser.add_argument(
        "--reject", default="", help="json_schema,json_object: answered with HTTP 400"
    )
    parser.add_argument(
        "--reject_fields", default="", help="seed,max_tokens: answered with HTTP 400"
    )
    parser.add_argument(
        "--always", default="", help="one fault for every call: a kind, status:N or finish:REASON"
    )
    parser.add_argument(
        "--message", default="made to fail", help="of the error that status:N answers with"
    )
    parser.add_argument("--only", default="", help="--always applies to prompts with this text")
    parser.add_argument(
        "--reasoning", type=int, default=0, help="tokens the model thinks before it answers"
    )
    parser.add_argument("--no_usage", action="store_true")
    parser.add_argument("--key", default="", help="the only key accepted")
    parser.add_argument(
        "--echo_key",
        action="store_true",
        help="repeats the Authorization header in errors and answers",
    )
    return parser.parse_args()


class State:
    """What all handlers share."""

    def __init__(self, options):
        self.options = options
        module, _, function = options.brain.partition(":")
        self.brain = importlib.import_module(module)
        self.answer = getattr(self.brain, function or "answer")
        self.lock = threading.Lock()
        self.log = open(options.log, "a", encoding="utf-8")
        self.asked: dict[str, int] = {}
        self.content_faults: dict[str, int] = {}
        self.in_flight = 0

    def record(self, **entry):
        with self.lock:
            self.log.write(json.dumps(entry) + "\n")
            self.log.flush()

    def fault(self, identity):
        """The fault of this call, if any."""
        options = self.options
        with self.lock:
            nth = self.asked[identity] = self.asked.get(identity, 0) + 1
            rng = random.Random(f"{options.seed} {identity} {nth}")
            kind = rng.choice(options.kinds.split(",")) if rng.random() < options.faults else ""
            streak = self.content_faults.get(identity, 0)
            if kind in CONTENT_FAULTS and streak >= options.most_content_faults:
                kind = ""
            if kind in CONTENT_FAULTS:
                self.content_faults[identity] = streak + 1
            elif not kind:
                self.content_faults[identity] = 0
        return kind


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self._reply(200, {"object": "list", "data": [{"id": "test", "object": "model"}]})

    def do_POST(self):
        state, options = self.state, self.state.options
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with state.lock:
            state.in_flight += 1
            concurrent = state.in_flight
        entry = {
            "client": self.headers.get("X-Client-Request-Id"),
            "concurrent": concurrent,
            "fault": "",
        }
        try:
            if options.admit and concurrent > options.admit:
                entry["fault"], status = "not admitted", 429
                self._reply(
                    429, {"error": {"message": "busy"}}, {"Retry-After": options.retry_after}
                )
            else:
                status = self._answer(body, entry)
        finally:
            with state.lock:
                state.in_flight -= 1
        state.record(**entry, status=status)

    def _answer(self, body, entry):
        state, options = self.state, self.state.options
        key = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        echo = f" (you sent {key})" if options.echo_key else ""
        if options.key and key != options.key:
            return self._reply(401, {"error": {"message": f"bad key{echo}"}})
        if self.path != "/v1/chat/completions":
            return self._reply(404, {"error": {"message": "no such page"}})
        mode = (body.get("response_format") or {}).get("type", "text")
        for field in filter(None, options.reject_fields.split(",")):
            if field in body:
                hint = "; use 'max_completion_tokens' instead" if field == "max_tokens" else ""
                return self._reply(
                    400, {"error": {"message": f"Unsupported parameter: '{field}'{hint}{echo}"}}
                )
        if mode in options.reject.split(","):
            return self._reply(
                400, {"error": {"message": f"response_format {mode} is not supported{echo}"}}
            )
        system, user = (message["content"] for message in body["messages"])
        name, schema = self._schema(body, system, mode)
        asked = user.split(f"\n\n{RE_ASK_HEADING}")[0]
        identify = getattr(state.brain, "identity", lambda name, system, user: name + user)
        identity = hashlib.sha256(
            identify(name, system, asked).encode("utf-8", "replace")
        ).hexdigest()[:16]
        entry.update(name=name, identity=identity, mode=mode)
        kind = state.fault(identity)
        if options.always and options.only in user:
            kind = options.always
        if options.reasoning >= body.get("max_tokens", body.get("max_completion_tokens")):
            kind = "finish:length"
        entry["fault"] = kind
        if options.latency_s:
            time.sleep(options.latency_s)
        if kind.startswith("status:"):
            return self._reply(int(kind[7:]), {"error": {"message": f"{options.message}{echo}"}})
        if kind in TRANSPORT_FAULTS and kind != "slow":
            return self._break(kind)
        if kind == "slow":
            time.sleep(options.slow_s)
        system, asked, read = self._truncated(system, asked)
        answer = None
        if schema is not None and not (options.ignore_schema and mode == "json_schema"):
            answer = state.answer(
                name, system, asked, schema, random.Random(f"{options.seed} {identity}")
            )
        if name == "" and hasattr(state.brain, "write"):  # no schema: prose is asked for
            rng = random.Random(f"{options.seed} {identity}")
            content, finish = self._prose(state.brain.write(system, asked, rng), kind)
        else:
            content, finish = self._content(answer, schema, kind)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": content + echo},
            "finish_reason": finish,
        }
        reply = {
            "id": f"chat-{identity}",
            "object": "chat.completion",
            "created": 0,
            "model": "test",
            "choices": [choice],
        }
        if not options.no_usage:
            reply["usage"] = {
                "prompt_tokens": read,
                "completion_tokens": options.reasoning + len(_TOKENS.findall(content)),
            }
        return self._reply(200, reply)

    def _schema(self, body, system, mode):
        if mode == "json_schema":
            described = body["response_format"]["json_schema"]
            return described["name"], described["schema"]
        found = _SCHEMA.search(system)
        return (found[1], json.loads(found[2])) if found else ("", None)

    def _truncated(self, system, user):
        """What of the messages the model reads, and how many tokens that is."""
        prompt = f"{system}\0{user}"
        if self.state.options.truncate:
            end, count = self.state.options.truncate.split(":")
            pieces = re.findall(r"\s*(?:\w+|[^\w\s]|\0)", prompt)
            pieces = pieces[: int(count)] if end == "first" else pieces[-int(count) :]
            prompt = "".join(pieces)
        read = len(_TOKENS.findall(prompt))
        if "\0" not in prompt:
            prompt = (
                f"{prompt}\0" if self.state.options.truncate.startswith("first") else f"\0{prompt}"
            )
        return *prompt.split("\0", 1), read

    def _content(self, answer, schema, kind):
        options = self.state.options
        finish = kind[7:] if kind.startswith("finish:") else "stop"
        if answer is None:
            return (
                "I looked at the documents and would say that they fall into three groups.",
                finish,
            )
        if kind == "wrong_keys":
            answer = {f"{key}-no": value for key, value in answer.items()}
        if kind == "invented_values":
            answer = getattr(self.state.brain, "invent", invent)(answer, schema)
        content = "" if kind == "empty" else json.dumps(answer)
        if options.reasoning and finish == "length":
            content = ""
        if kind == "truncated_json" or finish == "length":
            content = content[: len(content) // 2]
        if options.fenced and content:
            content = (
                f"Sure! Here is the object {{as asked}}:\n```json\n{content}\n```\nI hope this"
                " helps."
            )
        return content, finish

    def _prose(self, text, kind):
        """What of a text is answered; a cut one ends within a sentence."""
        if kind == "empty":
            return "", "stop"
        if kind in ("truncated_json", "finish:length"):
            return text[: 2 * len(text) // 3], "length"
        return text, "stop"

    def _break(self, kind):
        if kind == "dropped":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return 0
        if kind == "502_html":
            return self._send(
                502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html", {}
            )
        if kind == "garbled":  # a proxy's page with HTTP 200
            return self._send(
                200, b"<html><body>one moment</body></html>", "text/html", {}, logged=0
            )
        retry = {"Retry-After": self.state.options.retry_after} if kind == "429_retry_after" else {}
        return self._reply(
            500 if kind == "500" else 429, {"error": {"message": "made to fail"}}, retry
        )

    def _reply(self, status, value, headers=()):
        return self._send(status, json.dumps(value).encode(), "application/json", dict(headers))

    def _send(self, status, data, kind, headers, logged=None):
        try:
            self.send_response(status)
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(data)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
        except OSError:  # the client has gone
            self.close_connection = True
        return status if logged is None else logged


def invent(answer, schema):
    """`answer` with a value that its schema does not allow, in the first place where the schema
    limits values.
    """
    for key, described in schema["properties"].items():
        if "enum" in described or described.get("type") in ("integer", "boolean"):
            return {**answer, key: "invented"}
    return {f"{key}-no": value for key, value in answer.items()}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main():
    Handler.state = State(parse_arguments())
    server = Server(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
