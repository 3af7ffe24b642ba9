"""From any key to a file name: readable, safe on every file system, never the same for two keys.

Pure. The name holds letters, digits and hyphens of ASCII in lower case, so it means the same where
case does not count, and where Unicode is normalised. What tells keys apart is the hash.
"""

from __future__ import annotations

import base64
import hashlib
import re

#: The lock file of a whole folder; no key's name is like it.
GUARD = "store.guard"

SLUG_MAX = 40
#: Of SHA-256: 160 bits, which make 32 characters. Two keys with one hash would be the first ever.
HASH_BYTES = 20


def file_name(key: str) -> str:
    """
    Return the name, without a suffix, of the files that belong to *key*.

    Args:
        key: Any string, however long, empty and unprintable ones included.

    Returns:
        At most 73 characters: what is readable of the key, a hyphen, and a hash of all of it.
    """
    readable = re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")[:SLUG_MAX].rstrip("-")
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:HASH_BYTES]
    return f"{readable or 'session'}-{base64.b32encode(digest).decode().lower()}"
