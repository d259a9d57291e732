// A scripted backend: answers what a test tells it, keeps what it was sent, and notices who leaves.

import { once } from 'node:events';
import { createServer } from 'node:http';

import { gather } from './gather.js';

/** An answer of compact JSON. */
export function ofJson(value, status = 200, headers = {}) {
  return reply(JSON.stringify(value), { status, headers: { 'content-type': 'application/json', ...headers } });
}

/** A stream; with `hold` it stays unfinished until the peer goes away, which settles `left`. */
export function ofEvents(events, hold = false) {
  return reply(events.map(line).join(''), { headers: { 'content-type': 'text/event-stream' }, hold });
}

function line(event) {
  if (typeof event === 'string') return `data: ${event}\n\n`;
  const name = event.type ? `event: ${event.type}\n` : '';
  return `${name}data: ${JSON.stringify(event)}\n\n`;
}

function reply(body, { status = 200, headers, hold = false }) {
  let leave;
  const left = new Promise((resolve) => (leave = resolve));
  return { body, status, headers, hold, left, leave };
}

/** Listens on a free port. */
export async function startBackend() {
  const replies = new Map();
  const seen = [];
  const server = createServer(async (request, response) => {
    const parts = await gather(request);
    const body = Buffer.concat(parts).toString();
    const json = JSON.parse(body);
    seen.push({ path: request.url, headers: request.headers, body, json });
    write(response, next(replies.get(json.model)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    /** What requests for `model` get, in order; the last one stands for all that follow. */
    answers: (model, ...list) => replies.set(model, list),
    asked: (model) => seen.filter((request) => request.json.model === model),
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function next(list) {
  if (!list) return ofJson({ error: { message: 'the test scripted no answer' } }, 500);
  return list.length > 1 ? list.shift() : list[0];
}

function write(response, { body, status, headers, hold, leave }) {
  response.writeHead(status, headers);
  if (!hold) return response.end(body);
  response.on('close', leave);
  response.write(body);
}
