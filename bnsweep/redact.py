"""Strip credentials from URIs and messages.

What may be one stands between `://` and an `@`, or is a query; the URI of a file has none. A
password may contain any character that is not blank: the last `@` of a word counts, and a `/`
before it ends the name of the host only where no `:` has begun a password.
"""

import re

_SCHEME = r"\b(?!sqlite|file)[a-z][a-z0-9+.-]*://"
_USER = re.compile(rf"({_SCHEME})(?:[^\s/:@]*:\S*|[^\s/]*)@", re.IGNORECASE)
# What closes a bracket or a quotation around the URI stays.
_QUERY = re.compile(rf"({_SCHEME}[^\s?]*)\?\S*?(?=['\")\]]*(?:\s|$))", re.IGNORECASE)

REFUSAL = (
    "contains a user name, a password or a query, which would be saved with each run; a tracking "
    "URI with one belongs in the environment variable MLFLOW_TRACKING_URI, set before the start"
)


def has_user(text: str) -> bool:
    """Return whether a URI in `text` has a user name or a password."""
    return _USER.search(text) is not None


def has_secret(text: str) -> bool:
    """Return whether a URI in `text` has a user name, a password or a query."""
    return without_secrets(text) != text


def without_secrets(text: str) -> str:
    """Return `text` without the credentials and the query of any URI in it."""
    return _QUERY.sub(r"\1", _USER.sub(r"\1", text))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without credentials."""
    text = str(error).strip() or type(error).__name__
    return without_secrets(text.splitlines()[0])[:300]
