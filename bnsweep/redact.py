"""Strip credentials from URIs and messages.

What may be one stands between `://` and an `@`, or is a query. A password may contain an unescaped
`@` or `/`, so the last `@` of the word counts; but a URI that has a third `/` there names a file.
"""

import re

_USER = re.compile(r"://(?!/)[^\s'\"]*@")
_QUERY = re.compile(r"(://[^/\s'\"?][^\s'\"?]*)\?[^\s'\")\]]*")

REFUSAL = (
    "contains a user name, a password or a query, which would be saved with each run; a tracking "
    "URI with one belongs into the environment variable MLFLOW_TRACKING_URI"
)


def has_user(text: str) -> bool:
    """Return whether a URI in `text` has a user name or a password."""
    return _USER.search(text) is not None


def has_secret(text: str) -> bool:
    """Return whether a URI in `text` has a user name, a password or a query."""
    return without_secrets(text) != text


def without_secrets(text: str) -> str:
    """Return `text` without the credentials and the query of any URI in it."""
    return _QUERY.sub(r"\1", _USER.sub("://", text))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without credentials."""
    text = str(error).strip() or type(error).__name__
    return without_secrets(text.splitlines()[0])[:300]
