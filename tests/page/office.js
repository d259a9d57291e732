// A proxy as it may stand in an office, for pictures: five backends, one of which fails, and people at work.

import { setTimeout as pause } from 'node:timers/promises';

import { startBackend, startProxy } from './world.js';

const BUDGETS = { 'web-app': 20, 'coding-agents': 30, research: 10, 'nightly-jobs': 5 };
const KEYS = Object.keys(BUDGETS);
const keyOf = (name) => `${name}-key-0123456789abcdef`;

/** A number around `middle`, rarely far above it. */
function around(middle) {
  return middle * (0.55 + Math.random() * 0.6 + (Math.random() < 0.06 ? Math.random() * 3 : 0));
}

function healthy(first, gap, words) {
  return () => ({
    first: around(first), gap: around(gap), words: Math.ceil(around(words)),
    tokens: [Math.ceil(around(2600)), Math.ceil(around(260)), Math.ceil(around(1100))],
  });
}

const config = (ports) => `
api_keys:
${KEYS.map((name) => `  - {name: ${name}, key: ${keyOf(name)}, rate_limit: {rpm: 600, tpm: 900000}, budget: {usd: ${BUDGETS[name]}, per: day}}`).join('\n')}
backends:
  - {name: anthropic, protocol: anthropic, url: "http://127.0.0.1:${ports.anthropic}", api_keys: [sk-ant-simulated-1, sk-ant-simulated-2]}
  - {name: openai, protocol: openai, url: "http://127.0.0.1:${ports.openai}/v1", api_key: sk-simulated-openai, max_concurrent: 100}
  - {name: relay-eu, protocol: openai, url: "http://127.0.0.1:${ports.relay}/v1", api_key: sk-simulated-relay}
  - {name: workstation, protocol: openai, url: "http://127.0.0.1:${ports.workstation}/v1", auth: none}
  - {name: old-cluster, protocol: openai, url: "http://127.0.0.1:9/v1", auth: none, enabled: false}
models:
  claude-sonnet:
    routes: [{backend: anthropic, model: claude-sonnet-4-5}]
  gpt-5:
    routes: [{backend: relay-eu, model: gpt-5, priority: 1}, {backend: openai, model: gpt-5, priority: 2}, {backend: old-cluster, model: gpt-5, priority: 3}]
  gpt-5-mini:
    routes: [{backend: openai, model: gpt-5-mini, weight: 3}, {backend: relay-eu, model: gpt-5-mini, weight: 1}]
  qwen3-coder: {backend: workstation, model: qwen3-coder-30b}
fallback: {cooldown: 30s, cooldown_max: 60s}
concurrency: {max_requests: 200}
logging: {access: false}
`;

/** Starts all of it; people ask until it is stopped. */
export async function startOffice() {
  const backends = {
    anthropic: await startBackend(healthy(420, 30, 40)),
    openai: await startBackend(healthy(260, 22, 36)),
    relay: await startBackend(() => ({ status: 503, text: 'no available channel' })),
    workstation: await startBackend(healthy(90, 12, 60)),
  };
  const ports = Object.fromEntries(Object.entries(backends).map(([name, backend]) => [name, backend.port]));
  const proxy = await startProxy(config(ports));
  let open = true;
  const person = async (ask, every) => {
    const started = Date.now();
    while (open) {
      // Busier and calmer in turns, as offices are.
      const wave = 1.25 + Math.sin((Date.now() - started) / 70_000);
      await pause(around(every) / wave);
      if (open) await ask().catch(() => undefined);
    }
  };
  const as = (name) => ({ authorization: `Bearer ${keyOf(name)}` });
  const people = [
    ...Array.from({ length: 5 }, () => person(() => proxy.messages('claude-sonnet', true, as('coding-agents')), 1500)),
    ...Array.from({ length: 3 }, () => person(() => proxy.chat('gpt-5', true, as('web-app')), 1700)),
    ...Array.from({ length: 3 }, () => person(() => proxy.chat('gpt-5-mini', false, as('research')), 1200)),
    ...Array.from({ length: 2 }, () => person(() => proxy.chat('qwen3-coder', true, as('nightly-jobs')), 2500)),
    person(() => proxy.chat('gpt-6', true, as('web-app')), 20_000),
  ];
  return {
    proxy,
    backends,
    stop: async () => {
      open = false;
      await Promise.allSettled(people);
      await proxy.stop();
      for (const backend of Object.values(backends)) backend.stop();
    },
  };
}
