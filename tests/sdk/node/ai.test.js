// The Vercel AI SDK before backends of each dialect.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

import { CITIES, DONE, NOTHING, REMEMBERS, SHOWN, TASK, TOKENS, backends, weather } from './matrix.js';
import { KEY, startAll } from './proxy.js';
import { PIXEL } from './scripts.js';

const tools = {
  weather: tool({ description: 'The weather.', inputSchema: z.object({ city: z.string() }), execute: weather }),
};

/** Each provider as its documents tell to make it, with the dialect that it speaks and what reasoning needs. */
const CLIENTS = [
  {
    name: 'openai chat',
    dialect: 'chat',
    model: (url, name) => createOpenAI({ baseURL: `${url}/v1`, apiKey: KEY }).chat(name),
  },
  {
    name: 'openai Responses',
    dialect: 'responses',
    model: (url, name) => createOpenAI({ baseURL: `${url}/v1`, apiKey: KEY }).responses(name),
    // It takes its items to be stored, and refers to them, unless it is told that they are not.
    options: { openai: { store: false, forceReasoning: true, reasoningEffort: 'medium' } },
    remembers: true,
  },
  {
    name: 'openai-compatible',
    dialect: 'chat',
    model: (url, name) =>
      createOpenAICompatible({ name: 'proxy', baseURL: `${url}/v1`, apiKey: KEY, includeUsage: true })(name),
  },
  {
    name: 'anthropic',
    dialect: 'messages',
    model: (url, name) => createAnthropic({ baseURL: `${url}/v1`, apiKey: KEY })(name),
    options: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } },
    remembers: true,
  },
];

describe('ai', () => {
  let all;
  before(async () => (all = await startAll()));
  after(() => all?.stop());

  for (const { name, dialect, model, options, remembers } of CLIENTS) {
    for (const backend of backends(dialect)) {
      describe(`${name} before ${backend}`, () => {
        const ask = (alias, more = {}) => ({
          model: model(all.url, `${alias}-${backend}`),
          maxRetries: 0,
          providerOptions: options,
          prompt: 'hello',
          ...more,
        });

        test('a plain answer with its usage', async () => {
          const answer = await generateText(ask('agent'));
          assert.equal(answer.text, NOTHING);
          assert.equal(answer.finishReason, 'stop');
          assert.ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0);
        });

        test('a stream', async () => {
          const answer = streamText(ask('stream'));
          const pieces = [];
          for await (const piece of answer.textStream) pieces.push(piece);
          assert.ok(pieces.length >= 2);
          assert.equal(pieces.join(''), TOKENS);
          assert.equal(await answer.finishReason, 'stop');
          const usage = await answer.usage;
          assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
        });

        for (const streams of [false, true]) {
          test(`tools are called and their results go back${streams ? ', streamed' : ''}`, async () => {
            const asked = ask('agent', { prompt: TASK, tools, stopWhen: stepCountIs(3) });
            const answer = streams ? streamText(asked) : await generateText(asked);
            if (streams) for await (const part of answer.fullStream) assert.notEqual(part.type, 'error', part.error);
            const steps = await answer.steps;
            assert.equal(steps.length, 2);
            assert.deepEqual(steps[0].toolCalls.map((call) => call.input), CITIES);
            assert.equal(steps[0].finishReason, 'tool-calls');
            const told = await answer.text;
            assert.ok(told.startsWith(DONE), told);
            if (remembers) assert.ok(told.endsWith(REMEMBERS), told);
          });
        }

        test('an image', async () => {
          const content = [{ type: 'text', text: 'see' }, { type: 'image', image: PIXEL, mediaType: 'image/png' }];
          const answer = await generateText(ask('agent', { prompt: undefined, messages: [{ role: 'user', content }] }));
          assert.equal(answer.text, `${NOTHING} ${SHOWN}`);
        });

        for (const [alias, status, retries] of [['fault', 400, false], ['busy', 429, true], ['down', 502, true]]) {
          test(`${alias} keeps its status`, async () => {
            const has = (caught) => {
              assert.ok(APICallError.isInstance(caught), `${caught.name}: ${caught.message}`);
              assert.equal(caught.statusCode, status);
              assert.equal(caught.isRetryable, retries);
              return true;
            };
            await assert.rejects(generateText(ask(alias)), has);
            let told;
            const answer = streamText(ask(alias, { onError: ({ error }) => (told = error) }));
            for await (const _part of answer.fullStream);
            has(told);
          });
        }
      });
    }
  }
});
