// Starts the real binary: the proxy itself, and its simulator as a backend.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';

import { startBackend } from './backend.js';

const BINARY = process.env.LLM_PROXY_BIN ?? 'llm-proxy';
const CONFIG = fileURLToPath(new URL('../config.yaml', import.meta.url));

export const KEY = 'team-key-0123456789abcdef';
export const NARROW_KEY = 'narrow-key-0123456789abcdef';

/** How long a process has for its first answer, in milliseconds. */
const READY_WITHIN = 15_000;
const LOOK_EVERY = 20;

/** The proxy before the simulator and a scripted backend; `stop` ends all three, as a failed start does. */
export async function startAll() {
  const backend = await startBackend();
  const running = [backend];
  const stop = () => Promise.all(running.map((one) => one.stop()));
  try {
    const [simPort, proxyPort, deadPort] = await Promise.all([freePort(), freePort(), freePort()]);
    running.push(await start(['sim', '--listen', `127.0.0.1:${simPort}`], simPort, '/v1/models', {}));
    const ports = { PROXY_PORT: proxyPort, SIM_PORT: simPort, SCRIPTED_PORT: backend.port, DEAD_PORT: deadPort };
    running.push(await start(['serve', '-c', CONFIG], proxyPort, '/readyz', ports));
    return { url: `http://127.0.0.1:${proxyPort}`, backend, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A port that nobody listens on: bound once and given back. */
async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

async function start(words, port, health, variables) {
  // Keys of whoever runs the tests must not reach the config.
  const { PATH, HOME } = process.env;
  const child = spawn(BINARY, words, { env: { PATH, HOME, ...variables }, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (part) => (log += part));
  const exit = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    await exit;
  };
  const deadline = Date.now() + READY_WITHIN;
  while (!(await answers(port, health))) {
    if (child.exitCode !== null) throw new Error(`${words[0]} ended with ${child.exitCode}\n${log}`);
    if (Date.now() > deadline) {
      await stop();
      throw new Error(`${words[0]} was not ready in time\n${log}`);
    }
    await Promise.race([exit, pause(LOOK_EVERY)]);
  }
  return { stop };
}

/** Any answer below 500 shows a server at work: a simulator is strict about keys from the first request on. */
async function answers(port, path) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => null);
  await response?.arrayBuffer();
  return response !== null && response.status < 500;
}

/** Rejects where `promise` takes longer than two seconds. */
export function soon(promise, what) {
  const late = pause(2000, null, { ref: false }).then(() => Promise.reject(new Error(`too late: ${what}`)));
  return Promise.race([promise, late]);
}
