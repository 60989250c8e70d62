"""A recipe whose tables and events also say in which container, pod or cgroup it was (`--by`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import ValueRefused
from runner.recipe.cgroups import BY
from runner.recipe.model_event import EventField
from runner.recipe.model_output import Key

if TYPE_CHECKING:
    from runner.recipe.load import LoadedRecipe
    from runner.recipe.model import Recipe
    from runner.recipe.model_event import Event
    from runner.recipe.model_output import Output


def split_by(loaded: LoadedRecipe, by: str) -> LoadedRecipe:
    """Return the recipe with one key more in the tables that say whose something was, and in its events.

    :param by: `pod`, `container` or `cgroup`.
    :raises ValueRefused: The recipe's probes do not know the task.
    """
    recipe = loaded.recipe
    if by not in BY:
        raise ValueRefused(f"--by {by}: it is one of {', '.join(BY)}")
    why = recipe.target.refused().get("cgroup")
    if why is not None:
        raise ValueRefused(f"{recipe.id} cannot say --by {by}: {why}")
    names = {key.name for output in recipe.outputs for key in output.keys}
    if by in names | {field.name for event in recipe.events for field in event.fields}:
        raise ValueRefused(f"{recipe.id} has a key called {by} itself")
    outputs = tuple(_with_key(each, by) if _is_split(recipe, each) else each for each in recipe.outputs)
    events = tuple(_with_field(each, by) for each in recipe.events)
    return loaded.with_recipe(recipe.model_copy(update={"outputs": outputs, "events": events}))


def _is_split(recipe: Recipe, output: Output) -> bool:
    """Whether a table says whose something was: what counts everything, or what is missing, does not."""
    counts_all = [each.table for each in (recipe.sampling, recipe.ticks) if each is not None]
    what_is_missing = (output.total_of, output.unfollowed_of, output.unreturned_of, output.unseen_of)
    return not any((*what_is_missing, output.events_of)) and output.name not in (recipe.progress, *counts_all)


def _with_key(output: Output, by: str) -> Output:
    return output.model_copy(update={"keys": (Key.of_cgroup(by), *output.keys)})


def _with_field(event: Event, by: str) -> Event:
    return event.model_copy(update={"fields": (EventField.of_cgroup(by), *event.fields)})
