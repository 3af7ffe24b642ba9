// auth-js on Node, one turn for each line of standard input: `node auth_js.mjs FOLDER`, where FOLDER is
// the package @supabase/auth-js. A line is {"turn": "floor" | "fresh" | "herd", "calls": N}; the
// answer is {"seconds": S, "requests": R, "failed": F}: CPU time a call, or wall time of a herd.

import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const { GoTrueClient } = createRequire(import.meta.url)(process.argv[2])

const DELAY_MS = 50
const HOUR = 3600
const KEY = 'session'

const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url')

function session(refreshToken, expiresIn) {
  const now = Math.floor(Date.now() / 1000)
  const claims = { sub: 'ada', iat: now, exp: now + expiresIn, role: 'authenticated' }
  return {
    access_token: `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}.c2ln`,
    token_type: 'bearer',
    expires_in: HOUR,
    expires_at: now + expiresIn,
    refresh_token: refreshToken,
    user: {
      id: 'ada',
      aud: 'authenticated',
      role: 'authenticated',
      email: 'ada@example.com',
      app_metadata: { provider: 'email', providers: ['email'] },
      user_metadata: {},
      identities: [],
      created_at: '2026-01-01T00:00:00Z',
    },
  }
}

// Strict rotation, as in rotation.py.
class Server {
  requests = 0
  current = 'refresh-0'

  fetch = async (_url, options) => {
    this.requests += 1
    const good = JSON.parse(options.body).refresh_token === this.current
    this.current = `refresh-${this.requests}`
    const body = good
      ? session(this.current, HOUR)
      : { code: 400, error_code: 'refresh_token_already_used', msg: 'Already Used' }
    await new Promise((resolve) => setTimeout(resolve, DELAY_MS))
    const headers = { 'Content-Type': 'application/json' }
    return new Response(JSON.stringify(body), { status: good ? 200 : 400, headers })
  }
}

async function signedIn(server, expiresIn) {
  const kept = new Map([[KEY, JSON.stringify(session('refresh-0', expiresIn))]])
  const client = new GoTrueClient({
    url: 'http://127.0.0.1:9',
    storageKey: KEY,
    storage: {
      getItem: async (key) => kept.get(key) ?? null,
      setItem: async (key, value) => void kept.set(key, value),
      removeItem: async (key) => void kept.delete(key),
    },
    autoRefreshToken: false,
    detectSessionInUrl: false,
    persistSession: true,
    skipAutoInitialize: true,
    fetch: server.fetch,
  })
  return client
}

async function cpu(call, calls) {
  const before = process.cpuUsage()
  for (let number = 0; number < calls; number += 1) await call()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6 / calls
}

const held = { token: 'token', until: Date.now() + HOUR * 1000 }

const turns = {
  async floor(calls) {
    const call = async () => {
      if (Date.now() < held.until) return held.token
      throw new Error('expired')
    }
    return { seconds: await cpu(call, calls), requests: 0, failed: 0 }
  },
  async fresh(calls) {
    const server = new Server()
    const client = await signedIn(server, HOUR)
    if (!(await client.getSession()).data.session) throw new Error('auth-js is not signed in')
    const seconds = await cpu(() => client.getSession(), calls)
    return { seconds, requests: server.requests, failed: 0 }
  },
  async herd(size) {
    const server = new Server()
    const client = await signedIn(server, -5)
    const began = performance.now()
    const answers = await Promise.allSettled(Array.from({ length: size }, () => client.getSession()))
    const seconds = (performance.now() - began) / 1000
    const failed = answers.filter((answer) => !answer.value?.data?.session).length
    return { seconds, requests: server.requests, failed }
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { turn, calls } = JSON.parse(line)
  console.log(JSON.stringify(await turns[turn](calls)))
}
