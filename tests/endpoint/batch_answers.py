"""Who answers a file of requests: each line is put to a test server once, and what it says becomes
a line of results, as OpenAI's batches and vLLM's run_batch write them.

    python -m tests.endpoint.batch_answers URL REQUESTS RESULTS
"""

import http.client
import json
import pathlib
import sys
import urllib.error
import urllib.request


def answer(base_url: str, requests: pathlib.Path, results: pathlib.Path) -> list[dict]:
    """Write the results and return the requests. A dropped call leaves no line."""
    asked = [json.loads(line) for line in requests.read_text().splitlines()]
    with results.open("w") as file:
        for number, request in enumerate(asked):
            response = _call(base_url, request)
            if response is not None:
                line = {"id": f"batch_req_{number}", "custom_id": request["custom_id"]}
                file.write(json.dumps({**line, "response": response, "error": None}) + "\n")
    return asked


def _call(base_url: str, request: dict) -> dict | None:
    call = urllib.request.Request(
        base_url.removesuffix("/v1") + request["url"],
        json.dumps(request["body"]).encode(),
        {"Content-Type": "application/json", "X-Client-Request-Id": request["custom_id"]},
        method=request["method"],
    )
    try:
        with urllib.request.urlopen(call, timeout=60) as response:
            return {"status_code": response.status, "body": _body(response.read())}
    except urllib.error.HTTPError as error:
        return {"status_code": error.code, "body": _body(error.read())}
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError):
        return None


def _body(data: bytes):
    try:
        return json.loads(data)
    except ValueError:
        return data.decode()


if __name__ == "__main__":
    answer(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
