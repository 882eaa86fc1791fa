"""Holds the API's document to OpenAPI's own rules, and what a node answers to the document.

described.py HTTP: prints one JSON line for each GET without parameters in its path that was asked, after everything was checked.
"""

import json
import sys
import urllib.error
import urllib.request

import jsonschema
from openapi_spec_validator import validate

BASE = "http://" + sys.argv[1]


def call(method, path, body=None, kind="application/json"):
    headers = {"content-type": kind} if body is not None else {}
    request = urllib.request.Request(BASE + path, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers.get_content_type(), refused.read()


_, _, text = call("GET", "/openapi.json")
document = json.loads(text)
validate(document)

root = {"components": document["components"]}


def fits(instance, schema, where):
    try:
        jsonschema.validate(instance, {**root, **schema}, cls=jsonschema.Draft202012Validator)
    except jsonschema.ValidationError as error:
        sys.exit(f"{where}: {error.message} at {list(error.absolute_path)}")


def bodies(operation):
    if "requestBody" in operation:
        yield operation["requestBody"]["content"]
    for answer in operation["responses"].values():
        yield answer.get("content", {})


for path, methods in document["paths"].items():
    for method, operation in methods.items():
        for content in bodies(operation):
            for media in content.values():
                fits(media["example"], media["schema"], f"the example of {method} {path}")
        # Every operation is served: with names of nothing and an empty body it is refused for that, and for nothing else.
        concrete = path.replace("{verb}", "pause").replace("{id}", "999").replace("{version}", "1")
        concrete = "/".join("nothing-of-this-name" if part.startswith("{") else part for part in concrete.split("/"))
        # What changes all of the registry is left alone.
        if (method, path) in [("put", "/config"), ("delete", "/config")]:
            continue
        status, kind, answer = call(method.upper(), concrete, b"{}" if method in ("post", "put", "patch") else None)
        if status == 405 or b"there is nothing at" in answer:
            sys.exit(f"{method} {path} is described and not served: {status} {answer!r}")
        if status >= 500:
            sys.exit(f"{method} {concrete} failed: {status} {answer!r}")
        if method == "get" and "{" not in path and status == 200 and kind.endswith("json"):
            if kind not in operation["responses"]["200"]["content"]:
                sys.exit(f"{method} {path} answers {kind}, which is not described")
            fits(json.loads(answer), operation["responses"]["200"]["content"][kind]["schema"], f"{method} {path}")
            print(json.dumps({"path": path, "answer": json.loads(answer) if path != "/openapi.json" else None}))

for path in ["/v1", "/v1/nothing", "/v1/topics/a/b/c", "/openapi.yaml"]:
    status, _, answer = call("GET", path)
    if status != 404 or b"there is nothing at" not in answer:
        sys.exit(f"GET {path} is served and not described: {status} {answer!r}")
