"""A server inside the test's process whose every answer is what a function makes of the request."""

import contextlib
import http.server
import json
import threading

from tests.endpoint import brains


class Server(http.server.ThreadingHTTPServer):
    """Answers as `answer(body, number)` says: (status, value, headers); the calls are in
    `bodies`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.bodies, self.lock = answer, [], threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            number = len(self.server.bodies)
        status, value, *headers = self.server.answer(body, number)
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, given in dict(*headers).items():
                self.send_header(name, given)
            self.end_headers()
            self.wfile.write(data)


@contextlib.contextmanager
def serving(answer):
    """A running `Server`."""
    server = Server(answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def right_answer(body):
    """What the tests' brain answers to a request, whatever its form."""
    system, user = (body["messages"][0]["content"], body["messages"][-1]["content"])
    shape = body.get("response_format") or {}
    if shape.get("type") == "json_schema":
        named = shape["json_schema"]
        name, schema = named["name"], named["schema"]
    else:
        from tests.endpoint.server import _SCHEMA

        found = _SCHEMA.search(system)
        name, schema = found[1], json.loads(found[2])
    if name == "canary":
        return brains.answer(name, system, user, schema, None)
    return {"a": 1, "b": 2, "note": "as it is"}


def prompt_tokens(body):
    """As many as the words and marks of the prompt."""
    import re

    text = "".join(message["content"] for message in body["messages"])
    return len(re.findall(r"\w+|[^\w\s]", text))


def completion(body, content=None, message=None, finish="stop", usage=None, **changes):
    """A chat completion with the right answer, or with what is given in its place."""
    text = json.dumps(right_answer(body)) if content is None else content
    prompt = prompt_tokens(body)
    counts = {"prompt_tokens": prompt, "completion_tokens": 20, "total_tokens": prompt + 20}
    return {
        "id": "c1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message or {"content": text}, "finish_reason": finish}],
        "usage": usage or counts,
        **changes,
    }
