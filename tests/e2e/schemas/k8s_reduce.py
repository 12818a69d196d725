#!/usr/bin/env python3
"""Makes kubernetes.json out of the declarations of the npm packages kubernetes-models and @kubernetes-models/apimachinery: the kinds that
examples/deploy/k8s uses, and what these are made of, without `status` and descriptions. Nothing beyond a declared field is allowed.

    k8s_reduce.py FOLDER_OF_kubernetes-models FOLDER_OF_apimachinery >kubernetes.json
"""
import json
import pathlib
import re
import sys
import textwrap

KINDS = ["v1/Namespace", "v1/Service", "apps/v1/Deployment", "apps/v1/StatefulSet", "policy/v1/PodDisruptionBudget", "networking.k8s.io/v1/NetworkPolicy"]
LEFT_OUT = {"status", "managedFields"}
IMPORT = re.compile(r'import \{ (\w+) \} from "([^"]+)";')
FIELD = re.compile(r'^    "([^"]+)"(\??): (.*?);(?=\n    "|\n*\Z)', re.M | re.S)
OTHER = "@kubernetes-models/apimachinery/"
KNOWN = {"api/resource/Quantity": {"type": ["string", "number"]}, "util/intstr/IntOrString": {"type": ["string", "integer"]},
         "apis/meta/v1/Time": {"type": "string"}, "apis/meta/v1/MicroTime": {"type": "string"}}


def object_of(body, names):
    """The schema of the fields between two braces."""
    fields = [f for f in FIELD.findall(textwrap.indent(textwrap.dedent(body), "    ")) if f[0] not in LEFT_OUT]
    made = {"type": "object", "properties": {n: type_of(t, names) for n, _, t in fields}, "additionalProperties": False}
    if needed := [n for n, maybe, _ in fields if not maybe]:
        made["required"] = needed
    return made


def type_of(text, names):
    """The schema of one TypeScript type."""
    text = text.strip()
    if match := re.fullmatch(r"Array<(.*)>", text, re.S):
        return {"type": "array", "items": type_of(match[1], names)}
    if match := re.fullmatch(r"\{\s*\[key: string\]: (.*?);\s*\}", text, re.S):
        return {"type": "object", "additionalProperties": type_of(match[1], names)}
    if text.startswith("{"):
        return object_of(text[1:-1], names)
    if re.fullmatch(r'"[^"]*"( \| "[^"]*")*', text):
        return {"enum": re.findall(r'"([^"]*)"', text)}
    if text in names:
        return {"$ref": f"#/$defs/{names[text]}"}
    return {"string": {"type": "string"}, "boolean": {"type": "boolean"}, "number": {"type": "integer"}}[text]


def names_of(text, path):
    """What each imported name stands for: the path of a declaration, with `meta:` before one of the other package."""
    names, here = {}, path.removeprefix("meta:")
    for name, place in IMPORT.findall(text):
        if place.startswith(OTHER):
            names[name] = "meta:" + place.removeprefix(OTHER)
        elif place.startswith("."):
            parts = here.split("/")[:-1]
            for part in place.split("/"):
                parts = parts[:-1] if part == ".." else parts if part == "." else [*parts, part]
            names[name] = ("meta:" if path.startswith("meta:") else "") + "/".join(parts)
    return names


def definition(folders, path):
    """The schema of one declaration, and the paths that it names."""
    if path.removeprefix("meta:") in KNOWN:
        return KNOWN[path.removeprefix("meta:")], []
    text = (folders[path.startswith("meta:")] / f"{path.removeprefix('meta:')}.d.ts").read_text()
    text = re.sub(r"/\*\*.*?\*/\s*", "", text, flags=re.S)
    body = re.search(r"^export interface I\w+[^{]*\{\n(.*?)^\}", text, re.M | re.S)[1]
    names = {k: v.replace("/", ".") for k, v in names_of(text, path).items()}
    made = object_of(body, names)
    used = json.dumps(made)
    return made, [v for k, v in names_of(text, path).items() if f'#/$defs/{names[k]}"' in used]


def main(models, meta):
    folders = (pathlib.Path(models), pathlib.Path(meta))
    version = [json.loads((f / "package.json").read_text())["version"] for f in folders]
    made, todo = {}, list(KINDS)
    while todo:
        path = todo.pop()
        name = path.replace("/", ".")
        if name not in made:
            made[name], more = definition(folders, path)
            todo += more
    text = ",\n".join(f"{json.dumps(k)}: {json.dumps(made[k], sort_keys=True)}" for k in sorted(made))
    print('{"$comment": ' + json.dumps(f"Reduced from kubernetes-models {version[0]} and @kubernetes-models/apimachinery {version[1]}; see README.md"))
    print(f',"$schema": "https://json-schema.org/draft/2019-09/schema", "$defs": {{\n{text}\n}}}}')


main(*sys.argv[1:])
