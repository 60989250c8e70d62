"""The JSON Schema of recipes accepts what the model accepts, and refuses what an editor should underline."""

import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from runner.recipe.catalogue import recipe_paths
from tests.command import ebpf_recipe
from tests.laboratory.exact import exact_recipe

FILES = {**recipe_paths(), "exact": exact_recipe().path}


@pytest.fixture(scope="module")
def schema():
    printed = json.loads(ebpf_recipe("schema", "recipe").stdout)
    Draft202012Validator.check_schema(printed)
    return Draft202012Validator(printed)


def document_of(path):
    # A date of YAML is a string of JSON.
    return json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))


@pytest.mark.parametrize("recipe_id", FILES)
def test_every_recipe_satisfies_it(schema, recipe_id):
    assert [error.message for error in schema.iter_errors(document_of(FILES[recipe_id]))] == []


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "blue"},
        {"layer": "disk"},
        {"outputs": []},
        {"caveats": []},
        {"title": "short"},
        {"parameters": [{"name": "x", "type": "harbour", "description": "d"}]},
        {"target": {"honours": {"uid": "x"}}},
        {"schema": 2},
        {
            "overhead": {
                "level": "low",
                "reason": "r",
                "measured": [{"bpftrace": "0.27.1", "kernel": "6.18", "ns": 1}],
            }
        },
    ],
)
def test_it_refuses_what_the_model_refuses(schema, change):
    assert not schema.is_valid({**document_of(FILES["tcp-retrans"]), **change})


def test_it_says_what_fields_mean(schema):
    fields = schema.schema["$defs"]["Output"]["properties"]
    assert fields["unsigned"]["description"] == "The values are unsigned 64-bit integers."
