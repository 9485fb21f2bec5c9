"""Charts against the schema of Vega-Lite: arguments are its file and that of a list of charts. Prints what is wrong."""

import json
import sys

import jsonschema_rs


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def renamed(part, names):
    """The same with other names of definitions: those that are there have signs which no reference may have."""
    if isinstance(part, dict):
        return {
            key: names[value] if key == "$ref" else renamed(value, names) for key, value in part.items()
        }
    if isinstance(part, list):
        return [renamed(value, names) for value in part]
    return part


schema, charts = map(read, sys.argv[1:])
names = {f"#/definitions/{name}": f"#/definitions/d{place}" for place, name in enumerate(schema["definitions"])}
definitions = {f"d{place}": renamed(part, names) for place, part in enumerate(schema.pop("definitions").values())}
validator = jsonschema_rs.validator_for({**renamed(schema, names), "definitions": definitions})

# It does refuse something.
assert not validator.is_valid({**charts[0], "mark": "no such mark"})
assert not validator.is_valid({**charts[0], "encoding": {"x": {"field": 1}}})
for chart in charts:
    for error in validator.iter_errors(chart):
        print(f"{error.message:.500} {json.dumps(chart):.500}")
