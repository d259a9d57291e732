// Questions to the admin listener. The key, where there is one, is kept for this tab alone.

const KEY = 'llm-proxy-admin-key';
/** How long an answer may take, in milliseconds. */
const PATIENCE = 5000;

/** The listener wants the key, or another one. */
export class KeyWanted extends Error {}

/** It answered, and not with what was asked for. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const key = {
  get: () => read(),
  set(value) {
    try {
      sessionStorage.setItem(KEY, value);
    } catch {
      // No storage: it holds until the page is left.
    }
    held = value;
  },
  forget() {
    try {
      sessionStorage.removeItem(KEY);
    } catch {
      // Nothing was kept.
    }
    held = null;
  },
};

let held = null;

function read() {
  try {
    return sessionStorage.getItem(KEY) ?? held;
  } catch {
    return held;
  }
}

async function ask(method, path) {
  const headers = { accept: 'application/json' };
  const own = read();
  if (own) headers.authorization = `Bearer ${own}`;
  const signal = AbortSignal.timeout(PATIENCE);
  const options = { method, headers, signal, cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer' };
  const response = await fetch(path, options);
  const value = await response.json().catch(() => null);
  if (response.status === 401) throw new KeyWanted();
  if (!response.ok) throw new Refused(response.status, value?.error?.message ?? `It answered ${response.status}.`);
  return value;
}

export const get = (path) => ask('GET', path);
export const post = (path) => ask('POST', path);

/** What is to be done with a backend. */
export const change = (name, what) => post(`/api/backends/${encodeURIComponent(name)}/${what}`);
