"""Strip credentials from URIs and messages."""

import re
from urllib.parse import urlsplit


def has_secret(uri: str) -> bool:
    """Return whether `uri` contains a user name, a password or a query, which may hold a token."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return True
    return "@" in uri.partition("://")[2] or bool(parts.query)


def without_secret(uri: str) -> str:
    """Return `uri` without credentials and query."""
    return without_secrets(uri).partition("?")[0] if has_secret(uri) else uri


def without_secrets(text: str) -> str:
    """Return `text` without the credentials and the query of any URI in it."""
    text = without_userinfo(text)
    return re.sub(r"(://[^\s'\"?]*)\?[^\s'\")\]]*", r"\1", text)


def without_userinfo(text: str) -> str:
    """Return `text` without the user name and the password of any URI in it."""
    # Strip up to the last @ of the word: a password may contain an unescaped @ or /.
    return re.sub(r"://[^\s'\"]*@", "://", text)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without credentials."""
    text = str(error).strip() or type(error).__name__
    return without_secrets(text.splitlines()[0])[:300]
