"""Words in sentences: numbers with nouns, enumerations, capital letters."""

from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless the number is one."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def in_words(words: Sequence[str], conjunction: str = "and") -> str:
    """Return an enumeration: `relu`, `relu and tanh`, or `relu, tanh and sigmoid`."""
    return f" {conjunction} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def capitalised(text: str) -> str:
    """Return a text that begins with a capital letter."""
    return text[:1].upper() + text[1:]
