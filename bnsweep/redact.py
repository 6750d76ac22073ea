"""What of a URI must not be shown or saved."""

import re
from urllib.parse import urlsplit


def has_secret(uri: str) -> bool:
    """Tell whether `uri` holds a user name, a password or a query, which may be a token."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return True
    return "@" in uri.partition("://")[2] or bool(parts.query)


def without_secret(uri: str) -> str:
    """Return `uri` fit to be shown: user, password and query left out."""
    return without_secrets(uri).partition("?")[0] if has_secret(uri) else uri


def without_secrets(text: str) -> str:
    """Return `text` with user, password and query of each URI in it left out."""
    text = without_userinfo(text)
    return re.sub(r"(://[^\s'\"?]*)\?[^\s'\")\]]*", r"\1", text)


def without_userinfo(text: str) -> str:
    """Return `text` with user and password of each URI in it left out."""
    # Up to the last @ of the word: a password may hold an @ or a / that nobody encoded.
    return re.sub(r"://[^\s'\"]*@", "://", text)


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, fit to be shown."""
    text = str(error).strip() or type(error).__name__
    return without_secrets(text.splitlines()[0])[:300]
