// One client of @supabase/auth-js: `node auth_js.cjs <its folder> <server> <what to do>`.
// It prints one line of JSON.
const [folder, url, what] = process.argv.slice(2);
const { AuthClient } = require(folder);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const stored = new Map();
const storage = {
  getItem: (key) => stored.get(key) ?? null,
  setItem: (key, value) => void stored.set(key, value),
  removeItem: (key) => void stored.delete(key),
};

async function main() {
  const client = new AuthClient({ url, storage, autoRefreshToken: false, persistSession: true });
  const events = [];
  client.onAuthStateChange((event) => void events.push(event));
  const { data } = await client.signInWithPassword({
    email: "ada@example.com",
    password: "correct-horse-1",
  });
  const end = data.session.expires_at * 1000;
  if (what === "after expiry") await sleep(end - Date.now() + 100);
  const late = sleep(what === "after expiry" ? 100000 : 3000).then(() => "nothing yet");
  const answer = await Promise.race([client.getSession().then(() => "an answer"), late]);
  const good = Date.now() < end;
  console.log(JSON.stringify({ answer, good, events, stored: stored.size }));
  process.exit(0);
}

main();
