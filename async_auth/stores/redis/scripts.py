"""What Redis itself decides, each in one step that nobody can come between: Lua scripts. Pure text.

A session is one hash, so every script touches one key. While there is a record its fields are
`generation`, `sign_in`, `record` (JSON) and `write` (names the call that wrote it). What remains
of a removed one is `removed`, for a while: it tells a sign-out from a Redis that lost its data.
A record that could not be read lies under `unreadable:<unix time>`.

Generations are compared as texts: Lua's numbers are doubles. Each script may be sent twice, which
happens when a connection breaks before the answer, and then does the same as once.
"""

from __future__ import annotations

import hashlib

import attrs


@attrs.frozen
class Script:
    """
    A Lua script of one key.

    Args:
        text: Its source.
    """

    text: str
    sha: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # SHA-1 is how Redis names scripts; it protects nothing here.
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest)


#: Arguments: expected generation ('' for any), generation, sign-in, record, name of this write,
#: channel, milliseconds after which it expires ('' for never). Tells `<generation> <sign-in>`. Returns 1, or the generation that is there instead
#: ('0': none), with a '!' before it if it is the right one of another sign-in.
SAVE = Script("""\
local stored = redis.call('HMGET', KEYS[1], 'generation', 'sign_in', 'write')
local found = stored[1] or '0'
if stored[3] == ARGV[5] then return 1 end
if ARGV[1] ~= '' then
  if found ~= ARGV[1] then return found end
  if found ~= '0' and stored[2] ~= ARGV[3] then return '!' .. found end
end
redis.call('HDEL', KEYS[1], 'removed')
redis.call('HSET', KEYS[1], 'generation', ARGV[2], 'sign_in', ARGV[3], 'record', ARGV[4],
  'write', ARGV[5])
if ARGV[7] == '' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[7])
end
redis.call('PUBLISH', ARGV[6], ARGV[2] .. ' ' .. ARGV[3])
return 1
""")

#: Arguments: expected generation ('' for any, '0' for none), milliseconds for which to remember
#: the removal, channel. Tells `0`. Returns 1, or the generation that is there instead. A removal
#: of nothing is remembered as well: Redis may have lost what somebody else still has.
REMOVE = Script("""\
local found = redis.call('HGET', KEYS[1], 'generation')
if found and ARGV[1] ~= '' and found ~= ARGV[1] then return found end
redis.call('HDEL', KEYS[1], 'generation', 'sign_in', 'record', 'write')
redis.call('HSET', KEYS[1], 'removed', found or '0')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], '0')
return 1
""")

#: Arguments: the record that could not be read, the field to move it to. Returns 1 if it is
#: there now, 0 if somebody has replaced it meanwhile.
SET_ASIDE = Script("""\
if redis.call('HGET', KEYS[1], 'record') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'generation', 'sign_in', 'record', 'write')
redis.call('HSET', KEYS[1], ARGV[2], ARGV[1])
return 1
""")

#: Arguments: owner, lease in milliseconds, then owners of this process that are gone and may be
#: replaced. Returns 1 if it is held now, else 0.
ACQUIRE = Script("""\
local holder = redis.call('GET', KEYS[1])
if holder then
  local ours = holder == ARGV[1]
  for i = 3, #ARGV do ours = ours or holder == ARGV[i] end
  if not ours then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

#: Arguments: owner, lease in milliseconds. Returns 1 if it was still held, else 0.
RENEW = Script("""\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
""")

#: Arguments: owner. Returns 1 if it was still held, else 0.
RELEASE = Script("""\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1
""")
