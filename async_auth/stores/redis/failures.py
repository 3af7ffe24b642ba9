"""What redis-py's errors say to somebody who runs a program. Quotes no command and no argument."""

from __future__ import annotations

import re

from async_auth.errors import StoreError

#: What to do about a node that was named as if it were alone.
CLUSTER = "it belongs to a Redis Cluster; give redis.asyncio.RedisCluster.from_url(…) as client="
#: By the word with which Redis begins its refusal: what to do.
ADVICE = {
    "ASK": CLUSTER,
    "CLUSTERDOWN": "too few nodes of its Redis Cluster are there",
    "CROSSSLOT": CLUSTER,
    "LOADING": "it is still loading its data",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "MISCONF": "it cannot save to its disk; look at its log",
    "MOVED": CLUSTER,
    "NOAUTH": "it wants a password; put it into the URL",
    "NOPERM": "this user needs the keys and channels that begin with the prefix, and the commands "
    "eval, evalsha, get, set, del, pexpire, persist, hget, hmget, hset, hdel, hexists, publish, "
    "subscribe, unsubscribe and ping",
    "NOREPLICAS": "too few of its replicas are there",
    "OOM": "it is out of memory; raise maxmemory",
    "READONLY": "it is a replica; name the primary",
    "WRONGPASS": "the user's name or the password is wrong",
    "WRONGTYPE": "something else is stored under this name; choose another prefix",
}


def store_error(error: Exception, place: str, timeout: float) -> StoreError:
    """
    Return the StoreError that stands for what redis-py raised; raise it from nothing.

    Args:
        error: Any RedisError or OSError.
        place: The server, without user and password.
        timeout: Seconds that the call was given.
    """
    import redis

    if isinstance(error, TimeoutError | redis.TimeoutError):
        return StoreError(f"Redis at {place} has not answered within {timeout:g} seconds.")
    if isinstance(error, redis.AuthenticationError):
        # redis-py has cut the word off.
        wanted = "WRONGPASS" if "invalid" in str(error) else "NOAUTH"
        return StoreError(f"Redis at {place} refuses us: {ADVICE[wanted]}.", code=wanted)
    word = code_of(error)
    if word is not None:
        advice = f": {ADVICE[word]}" if word in ADVICE else ""
        return StoreError(f"Redis at {place} refuses the command{advice}.", code=word)
    what = type(error).__name__
    if isinstance(error, redis.ConnectionError | OSError):
        said = words_of_the_system(error)
        if said is not None:
            what = f"{what}: {said}"
        return StoreError(f"Redis at {place} cannot be reached ({what}).")
    return StoreError(f"Redis at {place} does not do what was asked ({what}).")


def words_of_the_system(error: Exception) -> str | None:
    """Return what the system said that led to *error*: the last of it, if there were several tries."""
    cause = error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return None


def code_of(error: Exception) -> str | None:
    """Return the word with which Redis began its refusal, if *error* is one."""
    import redis

    # redis-py has classes of its own for some, and cuts the word off there.
    for kind, word in (
        (redis.ReadOnlyError, "READONLY"),
        (redis.BusyLoadingError, "LOADING"),
        (redis.exceptions.OutOfMemoryError, "OOM"),
        (redis.exceptions.NoPermissionError, "NOPERM"),
        (redis.exceptions.MovedError, "MOVED"),
        (redis.exceptions.AskError, "ASK"),
        (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
        (redis.exceptions.MasterDownError, "MASTERDOWN"),
    ):
        if isinstance(error, kind):
            return word
    if not isinstance(error, redis.ResponseError):
        return None
    # Older servers put a script's error behind words of their own. Nothing but the word is kept.
    words = re.findall(r"\b[A-Z]{3,}\b", str(error))
    return next((word for word in words if word in ADVICE), "ERR")
