"""Rules about what a recipe tells its reader."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.recipe.finding import Finding
    from runner.recipe.lint.subject import Subject

VERBS = ("Counts", "Measures", "Samples", "Traces")

_LEFT_OVER = re.compile(r"\b(?:TODO|FIXME|XXX|TBD|[Ll]orem ipsum)\b|<[a-z][a-z ]+>|\bexample\.(?:com|org)\b")
_NOTHING = frozenset({"", "none", "n/a", "na", "todo", "tbd", "nothing", "no caveats", "unknown", "caveat"})


def placeholder(subject: Subject) -> Iterator[Finding]:
    """No text was left to be written."""
    for location, text in _texts(subject):
        match = _LEFT_OVER.search(text)
        if match is not None:
            yield subject.finding("placeholder", location, f"{match[0]!r} stands where a text belongs")
        elif text.strip(" .…?!-\n").lower() in _NOTHING:
            yield subject.finding("placeholder", location, f"{text.strip()!r} says nothing")


def title_style(subject: Subject) -> Iterator[Finding]:
    """A title is a phrase: it begins with a capital letter or a digit and has no full stop."""
    title = subject.recipe.title
    if title.endswith("."):
        yield subject.finding("title-style", ("title",), "a title ends without a full stop")
    if title[0].islower():
        yield subject.finding("title-style", ("title",), "a title begins with a capital letter")


def description_verb(subject: Subject) -> Iterator[Finding]:
    """A description says first what the recipe does."""
    if not subject.recipe.description.startswith(tuple(f"{verb} " for verb in VERBS)):
        text = f"a description begins with {', '.join(VERBS[:-1])} or {VERBS[-1]}"
        yield subject.finding("description-verb", ("description",), text)


def reference_missing(subject: Subject) -> Iterator[Finding]:
    """Somebody else documents what is traced."""
    if not subject.recipe.references:
        text = "it names no page that documents what is traced"
        yield subject.finding("reference-missing", ("references",), text)


def related_unknown(subject: Subject) -> Iterator[Finding]:
    """Recipes that are related are there."""
    for place, related in enumerate(subject.recipe.related):
        location = ("related", place, "id")
        if related.id == subject.recipe.id:
            yield subject.finding("related-unknown", location, "a recipe is not related to itself")
        elif related.id not in subject.known_ids:
            yield subject.finding("related-unknown", location, f"there is no recipe {related.id!r}")


def layer_folder(subject: Subject) -> Iterator[Finding]:
    """The folder is the layer."""
    if subject.recipe.layer != subject.layer:
        text = f"the layer is {subject.recipe.layer}, the folder is called {subject.layer}"
        yield subject.finding("layer-folder", ("layer",), text)


def _texts(subject: Subject) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Return everything that people read, with its place."""
    recipe = subject.recipe
    yield ("title",), recipe.title
    yield ("description",), recipe.description
    yield ("author",), recipe.author
    yield ("overhead", "reason"), recipe.overhead.reason
    for place, text in enumerate(recipe.caveats):
        yield ("caveats", place), text
    for place, text in enumerate(recipe.references):
        yield ("references", place), text
    for group, members in (("honours", recipe.target.honours), ("refuses", recipe.target.refuses)):
        for name, text in members.items():
            yield ("target", group, name), text
    described = {
        "parameters": [parameter.description for parameter in recipe.parameters],
        "variants": [variant.description for variant in recipe.variants],
        "outputs": [output.description for output in recipe.outputs],
    }
    for what, texts in described.items():
        for place, text in enumerate(texts):
            yield (what, place, "description"), text


TEXT_RULES = (placeholder, title_style, description_verb, reference_missing, related_unknown, layer_folder)
