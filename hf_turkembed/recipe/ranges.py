"""Ranges in which the numbers of a section lie."""

from collections.abc import Callable, Mapping

# By the words that say so in a message; NaN lies in none of them.
_RANGES: Mapping[str, Callable[[float], bool]] = {
    "at least 0": lambda number: number >= 0,
    "at least 1": lambda number: number >= 1,
    "at least 1, or null for all": lambda number: number >= 1,
    "at least 2": lambda number: number >= 2,
    "more than 0": lambda number: number > 0,
    "a share from 0 to 1": lambda number: 0 <= number <= 1,
    "a share above 0, up to 1": lambda number: 0 < number <= 1,
}


def check_range(section: object, expected: str, *names: str) -> None:
    """Refuse numbers of a section that are out of range.

    Args:
        section: A dataclass of the recipe.
        expected: The range, by its words.
        names: Fields that hold a number, numbers by key, or None, which is in every range.

    Raises:
        ValueError: If a number is out of range; the message names its field, and its key where it has one.
    """
    for name in names:
        value = getattr(section, name)
        numbers = {f"{name}.{key}": value[key] for key in value} if isinstance(value, Mapping) else {name: value}
        for key, number in numbers.items():
            if number is not None and not _RANGES[expected](number):
                raise ValueError(f"`{key}` is {number}, expected {expected}.")
