"""Sessions in Redis or Valkey, for every process of every machine that reaches it.

redis-py (the extra `redis`) is imported when the first store is made, not here.
"""

from __future__ import annotations

from async_auth.stores.redis.lock import RedisLock
from async_auth.stores.redis.store import RedisStore

__all__ = ["RedisLock", "RedisStore"]
