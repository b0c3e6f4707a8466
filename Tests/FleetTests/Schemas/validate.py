"""Checks messages and manifests of a run against the schemas in docs/, and that the schemas can refuse.

usage: validate.py DOCS FOLDER

FOLDER holds one file for each message, messages/*.json with topic, headers and value (a text), and the manifests as they
lie in the store, manifests/*.json. The answer is JSON: how many there were of each type, and all problems.
"""
import copy
import json
import pathlib
import sys

import yaml
from jsonschema import Draft7Validator
from referencing import Registry, Resource

docs, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
files = sorted(docs.glob("events/*.schema.json")) + sorted(docs.glob("manifest/*.schema.json"))
schemas = {str(file.relative_to(docs)): json.loads(file.read_text()) for file in files}
registry = Registry().with_resources(
    (f"file:///{name}", Resource.from_contents(schema)) for name, schema in schemas.items()
)
problems, counts = [], {}


def validator(name):
    return Draft7Validator({"$ref": f"file:///{name}"}, registry=registry, format_checker=Draft7Validator.FORMAT_CHECKER)


def check(name, value, where):
    for error in validator(name).iter_errors(value):
        problems.append(f"{where}: {error.json_path}: {error.message[:300]}")
    problems.extend(f"{where}: {path} is not documented" for path in undocumented(name, schemas[name], value, "$"))


def resolved(name, schema):
    """The schema and all that it refers to, each with the file that it is in."""
    if "$ref" in schema:
        target, _, pointer = schema["$ref"].partition("#")
        file = str((pathlib.PurePosixPath(name).parent / target)) if target else name
        parts = []
        for part in pathlib.PurePosixPath(file).parts:
            parts = parts[:-1] if part == ".." else parts + [part]
        file = "/".join(parts)
        found = schemas[file]
        for step in pointer.split("/")[1:]:
            found = found[step]
        yield from resolved(file, found)
        return
    yield name, schema
    for part in schema.get("allOf", []):
        yield from resolved(name, part)


def undocumented(name, schema, value, path):
    """The members of a value that no schema describes: consumers may get more, the documentation must not say less."""
    known = list(resolved(name, schema))
    if isinstance(value, list):
        for file, part in known:
            for index, item in enumerate(value if "items" in part else []):
                yield from undocumented(file, part["items"], item, f"{path}[{index}]")
    if isinstance(value, dict):
        for member, inner in value.items():
            homes = [(file, part["properties"][member]) for file, part in known if member in part.get("properties", {})]
            if not homes:
                yield f"{path}.{member}"
            for file, part in homes:
                yield from undocumented(file, part, inner, f"{path}.{member}")


def required(name, schema):
    return [member for _, part in resolved(name, schema) for member in part.get("required", [])]


def expect_refusals(name, value, where):
    """A right value is wrong without any member that is required, and with any member of a wrong type."""
    check_one = validator(name)
    missing = set(required(name, schemas[name])) - set(value)
    if missing:
        problems.append(f"{where}: lacks {sorted(missing)}")
    for member in value:
        changed = copy.deepcopy(value)
        # No member is an array of one null.
        changed[member] = [None]
        if check_one.is_valid(changed):
            problems.append(f"{name}: a wrong type of '{member}' is not refused")
        del changed[member]
        if member in required(name, schemas[name]) and check_one.is_valid(changed):
            problems.append(f"{name}: '{member}' is required, and its absence is not refused")


# Schemas, and their own examples.
for name, schema in schemas.items():
    Draft7Validator.check_schema(schema)
    if name != "events/common.schema.json" and not schema.get("examples"):
        problems.append(f"{name}: has no example")
    for index, example in enumerate(schema.get("examples", [])):
        check(name, example, f"{name}, example {index}")
        expect_refusals(name, example, f"{name}, example {index}")

# Messages.
known = {}
for file in sorted((folder / "messages").glob("*.json")):
    message = json.loads(file.read_text())
    headers, value = message["headers"], json.loads(message["value"])
    where = f"{message['topic']}, {headers.get('ce_id')}"
    check("events/headers.schema.json", headers, f"headers of {where}")
    kind = headers["ce_type"].removeprefix("bda.").removesuffix(".v1")
    counts[headers["ce_type"]] = counts.get(headers["ce_type"], 0) + 1
    check(f"events/{kind}.schema.json", value, where)
    if headers["ce_subject"] != f"{value['business_date']}/{value['run_id']}":
        problems.append(f"{where}: ce_subject is {headers['ce_subject']}")
    if known.setdefault(headers["ce_id"], value) != value:
        problems.append(f"{where}: two events of one id")
    if counts[headers["ce_type"]] == 1:
        expect_refusals("events/headers.schema.json", headers, f"headers of {where}")
        expect_refusals(f"events/{kind}.schema.json", value, where)

# Manifests.
for file in sorted((folder / "manifests").glob("*.json")):
    manifest = json.loads(file.read_text())
    kind = "dataset" if "entries" in manifest else "run"
    counts[f"{kind} manifest"] = counts.get(f"{kind} manifest", 0) + 1
    check(f"manifest/{kind}.schema.json", manifest, file.name)
    if counts[f"{kind} manifest"] == 1:
        expect_refusals(f"manifest/{kind}.schema.json", manifest, file.name)

# The AsyncAPI document names each schema once, and nothing that is not there.
document = yaml.safe_load((docs / "events/asyncapi.yaml").read_text())
messages = document["components"]["messages"]


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from references(inner)


for reference in references(document):
    target, _, pointer = reference.partition("#")
    found = document if not target else schemas.get(f"events/{target.removeprefix('./')}")
    for step in pointer.split("/")[1:]:
        found = (found or {}).get(step)
    if found is None:
        problems.append(f"asyncapi.yaml: {reference} leads nowhere")
for message in messages.values():
    kind = message["name"].removeprefix("bda.").removesuffix(".v1")
    if message["name"] != "unreadable" and message["payload"] != {"$ref": f"./{kind}.schema.json"}:
        problems.append(f"asyncapi.yaml: the payload of {message['name']} is {message['payload']}")
channels = {
    channel["address"]: sorted(messages[inner["$ref"].split("/")[-1]]["name"] for inner in channel["messages"].values())
    for channel in document["channels"].values()
}

print(json.dumps({"counts": counts, "channels": channels, "problems": problems}))
