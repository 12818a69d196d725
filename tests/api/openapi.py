"""schema/openapi.json as a judge: is an answer that a test received one that the document promises?

weirtest.py asks it about every answer. An answer is right when the document knows the route, the status, the headers that it
calls required, and each field of the body: one that is not written down is a fault. Of a request that was accepted it also looks
at the query and the body: what the server takes has to be written down too. A request that meets no route may be refused with any
status that the document knows.

The judge is a small validator of JSON Schema 2020-12, for the keywords that the document uses. It refuses any other keyword, so
that nothing in the document goes unread. Any thread may ask it.
"""
import gzip
import json
import pathlib
import re
from urllib.parse import parse_qsl, unquote

DOCUMENT = json.loads((pathlib.Path(__file__).resolve().parents[2] / "schema" / "openapi.json").read_text())
UNSAID = object()  # a schema does not say


class Mismatch(AssertionError):
    """What the document does not promise."""


# ---- schemas ----

TYPES = {"object": lambda v: isinstance(v, dict), "array": lambda v: isinstance(v, list), "string": lambda v: isinstance(v, str),
         "boolean": lambda v: isinstance(v, bool), "null": lambda v: v is None,
         "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
         "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool)}
NOTES = {"title", "description", "default", "examples", "format", "contentEncoding"}  # say nothing that can be wrong


def equal(a, b):
    """True is not 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def demand(of, good, sentence):
    """A check of values of one kind; others pass, as in JSON Schema. It evaluates no property."""
    def check(value, place):
        if TYPES[of](value) and not good(value):
            raise Mismatch(f"{place or '/'}: {sentence}: {str(value)[:120]!r}")
        return ()
    return check


class Schemas:
    """Schemas of a document, each as a function (value, place) that raises Mismatch, or returns the names of the object's
    properties that it has looked at."""

    def __init__(self, document):
        self.document, self.named = document, {}

    def at(self, ref):
        """What a reference points to."""
        node = self.document
        for part in ref.removeprefix("#/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node

    def reference(self, ref):
        """A schema may refer to itself, so what is referred to is made when it is first needed."""
        def check(value, place):
            if ref not in self.named:
                self.named[ref] = self.made(self.at(ref))
            return self.named[ref](value, place)
        return check

    def made(self, schema):
        if isinstance(schema, bool):
            return demand_any(schema)
        checks = []
        for word, said in schema.items():
            if word not in NOTES and word not in WITH_OTHERS:
                if word not in WORDS:
                    raise ValueError(f"the validator does not know {word}: teach it, or write the document without")
                checks.append(WORDS[word](self, said))
        if "properties" in schema or "additionalProperties" in schema:
            checks.append(self.properties(schema.get("properties", {}), schema.get("additionalProperties", UNSAID)))
        last = self.made(schema["unevaluatedProperties"]) if "unevaluatedProperties" in schema else None

        def judge(value, place):
            seen = set()
            for check in checks:
                seen.update(check(value, place))
            if last and isinstance(value, dict):
                for name in value.keys() - seen:
                    last(value[name], f"{place}/{name}")
                    seen.add(name)
            return seen
        return judge

    def properties(self, known, others):
        known = {name: self.made(schema) for name, schema in known.items()}
        rest = None if others is UNSAID else self.made(others)

        def check(value, place):
            seen = []
            for name in value if isinstance(value, dict) else ():
                judge = known.get(name, rest)
                if judge:
                    judge(value[name], f"{place}/{name}")
                    seen.append(name)
            return seen
        return check

    def names(self, schema):
        judge = self.made(schema)

        def check(value, place):
            for name in value if isinstance(value, dict) else ():
                judge(name, f"{place}/{name} (its name)")
            return ()
        return check

    def items(self, schema):
        judge = self.made(schema)

        def check(value, place):
            for i, element in enumerate(value if isinstance(value, list) else ()):
                judge(element, f"{place}/{i}")
            return ()
        return check

    def all_of(self, schemas):
        judges = [self.made(s) for s in schemas]
        return lambda value, place: {name for judge in judges for name in judge(value, place)}

    def any_of(self, schemas):
        judges = [self.made(s) for s in schemas]

        def check(value, place):
            seen, why = set(), []
            for judge in judges:
                try:
                    seen.update(judge(value, place))
                except Mismatch as one:
                    why.append(str(one))
            if len(why) == len(judges):
                raise Mismatch(" | ".join(why))
            return seen
        return check


def demand_any(allowed):
    def check(value, place):
        if not allowed:
            raise Mismatch(f"{place or '/'} is not documented")
        return value if isinstance(value, dict) else ()
    return check


def demand_type(_, said):
    kinds = said if isinstance(said, list) else [said]
    tests = [TYPES[kind] for kind in kinds]

    def check(value, place):
        if not any(test(value) for test in tests):
            raise Mismatch(f"{place or '/'} is no {' or '.join(kinds)}: {str(value)[:120]!r}")
        return ()
    return check


def demand_one_of(_, said):
    def check(value, place):
        if not any(equal(value, one) for one in said):
            raise Mismatch(f"{place or '/'} is none of {said}: {str(value)[:120]!r}")
        return ()
    return check


WORDS = {
    "$ref": Schemas.reference, "allOf": Schemas.all_of, "anyOf": Schemas.any_of, "items": Schemas.items,
    "propertyNames": Schemas.names, "type": demand_type, "enum": demand_one_of, "const": lambda s, said: demand_one_of(s, [said]),
    "required": lambda _, said: demand("object", lambda v: all(n in v for n in said), f"one of {said} is missing"),
    "minProperties": lambda _, said: demand("object", lambda v: len(v) >= said, f"less than {said} properties"),
    "maxProperties": lambda _, said: demand("object", lambda v: len(v) <= said, f"more than {said} properties"),
    "minItems": lambda _, said: demand("array", lambda v: len(v) >= said, f"less than {said} elements"),
    "maxItems": lambda _, said: demand("array", lambda v: len(v) <= said, f"more than {said} elements"),
    "minLength": lambda _, said: demand("string", lambda v: len(v) >= said, f"shorter than {said}"),
    "maxLength": lambda _, said: demand("string", lambda v: len(v) <= said, f"longer than {said}"),
    "pattern": lambda _, said: demand("string", re.compile(said.removesuffix("$") + r"\Z" if said.endswith("$") else said).search,
                                      f"not of the form {said}"),
    "minimum": lambda _, said: demand("number", lambda v: v >= said, f"below {said}"),
    "maximum": lambda _, said: demand("number", lambda v: v <= said, f"above {said}"),
    "exclusiveMinimum": lambda _, said: demand("number", lambda v: v > said, f"not above {said}"),
}
WITH_OTHERS = {"properties", "additionalProperties", "unevaluatedProperties"}  # what they mean depends on each other


# ---- operations ----

class Judge:
    def __init__(self, document):
        self.schemas = Schemas(document)
        self.responses = document["components"]["responses"]
        self.operations = []  # (method, path, its form, the operation)
        self.kept = {}
        for path, item in document["paths"].items():
            form = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + r"\Z")
            self.operations += [(method.upper(), path, form, operation) for method, operation in item.items()]

    def find(self, method, path):
        wanted = "GET" if method == "HEAD" else method
        return next((o for m, _, form, o in self.operations if m == wanted and form.match(path)), None)

    def schema(self, schema):
        """Kept by identity: the document lives as long as this object."""
        if id(schema) not in self.kept:
            self.kept[id(schema)] = self.schemas.made(schema)
        return self.kept[id(schema)]

    def resolved(self, thing):
        return self.schemas.at(thing["$ref"]) if "$ref" in thing else thing

    def answer(self, method, target, answer, sent=None):
        """An answer (status, headers with .get(), body; None for HEAD) to that request. sent: the body of the request, bytes."""
        path, _, query = target.partition("?")
        operation = self.find(method, unquote(path))
        responses = operation["responses"] if operation else self.responses
        try:
            if str(answer.status) not in responses:
                raise Mismatch(f"the status is not documented ({'for this route' if operation else 'there is no such route'})")
            self.response(self.resolved(responses[str(answer.status)]), answer, method == "HEAD")
            if operation and answer.status == 200:
                self.query(operation, query)
                self.request(operation, sent)
        except Mismatch as why:
            raise Mismatch(f"{method} {target[:200]}: {answer}\nschema/openapi.json does not have this: {why}") from None

    def response(self, response, answer, bare=False):
        for name, header in response.get("headers", {}).items():
            value = answer.headers.get(name.lower())
            if value is None:
                if header.get("required"):
                    raise Mismatch(f"without the header {name}")
                continue
            self.schema(header["schema"])(as_said(self.resolved(header["schema"]), value), f"header {name}")
        kinds, kind = response.get("content", {}), (answer.headers.get("content-type") or "").partition(";")[0]
        if kinds and kind not in kinds:
            raise Mismatch(f"its type is {kind}")
        if bare or not kinds:
            if answer.body:
                raise Mismatch("there is a body")
        elif kind == "application/json":
            packed = answer.headers.get("content-encoding") == "gzip"
            self.schema(kinds[kind]["schema"])(json.loads(gzip.decompress(answer.body) if packed else answer.body), "")

    def query(self, operation, query):
        known = {p["name"]: p for p in map(self.resolved, operation.get("parameters", ())) if p["in"] == "query"}
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in known:
                raise Mismatch(f"the query has {name}")
            self.schema(known[name]["schema"])(as_said(self.resolved(known[name]["schema"]), value), f"query {name}")

    def request(self, operation, sent):
        body = operation.get("requestBody")
        if body and sent:
            self.schema(body["content"]["application/json"]["schema"])(json.loads(sent), "body of the request: ")
        elif body and body.get("required"):
            raise Mismatch("the body of the request is required")

    def some_answer(self, answer):
        """An answer to bytes of which it is not known which request they are."""
        status, last = str(answer.status), "its status stands nowhere"
        for one in [self.responses, *(operation["responses"] for _, _, _, operation in self.operations)]:
            try:
                if status in one:
                    return self.response(self.resolved(one[status]), answer)
            except Mismatch as why:
                last = why
        raise Mismatch(f"{answer}\nno answer in schema/openapi.json is like this; the last one is not, because: {last}")


def as_said(schema, text):
    """A text of a header or a query as the value that its schema speaks of."""
    kind = schema.get("type")
    if kind == "integer" and re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text


JUDGE = Judge(DOCUMENT)
