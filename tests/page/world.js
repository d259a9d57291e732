// The real binary with a small world around it: backends whose faults a test switches on and off, and clients.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createProbe } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const BINARY = process.env.LLM_PROXY_BIN ?? 'llm-proxy';
/** How long anything may take to come about, in milliseconds. */
const PATIENCE = 20_000;
const LOOK_EVERY = 25;

/** Waits until `look` gives something, and gives that. */
export async function until(what, look) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await pause(LOOK_EVERY);
  }
}

/** A port that nobody listens on: bound once and given back. */
export async function freePort() {
  const probe = createProbe().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/**
 * A backend that speaks chat and messages. `script(model)` says how it answers: `status`, or `first` milliseconds to the
 * first word and `words`, `gap` milliseconds apart, with the usage `tokens`.
 */
export async function startBackend(script) {
  const held = { script };
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const asked = JSON.parse(Buffer.concat(parts).toString());
    await answer(response, asked, request.url.includes('messages'), held.script(asked.model)).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    answers: (next) => (held.script = next),
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answer(response, asked, isMessages, { status = 200, text = 'out of order', headers = {}, first = 0, words = 3, gap = 0, tokens = [12, 34, 0] }) {
  await pause(first);
  if (status !== 200) {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ error: { type: 'server_error', message: text } }));
    return;
  }
  const { whole, events } = isMessages ? inMessages(asked, words, tokens) : inChat(asked, words, tokens);
  if (!asked.stream) {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(whole));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const event of events) {
    response.write(event);
    if (gap) await pause(gap);
  }
  response.end();
}

function inChat({ model }, words, [input, output, cached]) {
  const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output, prompt_tokens_details: { cached_tokens: cached } };
  const base = { id: 'chatcmpl-1', created: 1, model };
  const chunk = (delta, finish = null) => `data: ${JSON.stringify({ ...base, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const last = `data: ${JSON.stringify({ ...base, object: 'chat.completion.chunk', choices: [], usage })}\n\ndata: [DONE]\n\n`;
  const deltas = Array.from({ length: words }, () => chunk({ content: 'word ' }));
  const message = { role: 'assistant', content: 'word '.repeat(words) };
  return {
    whole: { ...base, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }], usage },
    events: [chunk({ role: 'assistant', content: '' }), ...deltas, chunk({}, 'stop'), last],
  };
}

function inMessages({ model }, words, [input, output, cached]) {
  const usage = { input_tokens: input - cached, output_tokens: output, cache_read_input_tokens: cached, cache_creation_input_tokens: 0 };
  const base = { id: 'msg_1', type: 'message', role: 'assistant', model };
  const event = (type, more) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
  const delta = () => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'word ' } });
  return {
    whole: { ...base, content: [{ type: 'text', text: 'word '.repeat(words) }], stop_reason: 'end_turn', stop_sequence: null, usage },
    events: [
      event('message_start', { message: { ...base, content: [], stop_reason: null, stop_sequence: null, usage: { ...usage, output_tokens: 1 } } }),
      event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
      ...Array.from({ length: words }, delta),
      event('content_block_stop', { index: 0 }),
      event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: output } }),
      event('message_stop', {}),
    ],
  };
}

/** A command of the binary; ready when `path` at `port` is answered. */
export async function startBinary(words, port, path) {
  // Keys of whoever runs the tests must not reach the config.
  const { PATH, HOME } = process.env;
  const child = spawn(BINARY, words, { env: { PATH, HOME }, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (part) => (log += part));
  const exit = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    await exit;
  };
  const answers = async () => {
    if (child.exitCode !== null) throw new Error(`${words[0]} ended with ${child.exitCode}\n${log}`);
    const response = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => null);
    await response?.arrayBuffer();
    return response !== null && response.status < 500;
  };
  await until(`${words[0]}\n${log}`, answers).catch(async (error) => {
    await stop();
    throw error;
  });
  return { stop, pid: child.pid };
}

/** The proxy with a config, on addresses of its own that it keeps when it is started again. */
export async function startProxy(yaml, { adminKey } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'llm-proxy-page-'));
  const file = join(dir, 'config.yaml');
  const [port, adminPort] = [await freePort(), await freePort()];
  const key = adminKey ? `, key: ${adminKey}` : '';
  const head = `listen: 127.0.0.1:${port}\nadmin: {listen: "127.0.0.1:${adminPort}"${key}}\n`;
  const rewrite = (text) => writeFileSync(file, head + text);
  rewrite(yaml);
  const start = () => startBinary(['serve', '-c', file], port, '/readyz');
  let running = await start();
  const post = async (path, value, headers = {}) => {
    const body = JSON.stringify(value);
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
    await response.arrayBuffer();
    return response.status;
  };
  const messages = [{ role: 'user', content: 'Hello' }];
  return {
    admin: `http://127.0.0.1:${adminPort}`,
    pid: () => running.pid,
    rewrite,
    chat: (model, stream = true, headers = {}) => post('/v1/chat/completions', { model, stream, messages }, headers),
    messages: (model, stream = true, headers = {}) => post('/v1/messages', { model, stream, max_tokens: 100, messages }, { 'anthropic-version': '2023-06-01', ...headers }),
    end: () => running.stop(),
    again: async () => (running = await start()),
    stop: async () => {
      await running.stop();
      rmSync(dir, { recursive: true });
    },
  };
}
