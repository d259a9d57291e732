// LangChain's chat models before backends of each dialect.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { ChatAnthropic } from '@langchain/anthropic';
import { HumanMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { z } from 'zod';

import { gather } from './gather.js';
import { CITIES, DONE, NOTHING, SHOWN, TASK, TOKENS, backends, weather } from './matrix.js';
import { KEY, startAll } from './proxy.js';
import { PIXEL } from './scripts.js';

const weatherTool = tool(weather, {
  name: 'weather',
  description: 'The weather of a city.',
  schema: z.object({ city: z.string() }),
});

const CLIENTS = {
  chat: (url, model) => new ChatOpenAI({ model, apiKey: KEY, maxRetries: 0, configuration: { baseURL: `${url}/v1` } }),
  responses: (url, model) =>
    new ChatOpenAI({
      model,
      apiKey: KEY,
      maxRetries: 0,
      useResponsesApi: true,
      zdrEnabled: true,
      configuration: { baseURL: `${url}/v1` },
    }),
  messages: (url, model) =>
    new ChatAnthropic({ model, apiKey: KEY, maxRetries: 0, maxTokens: 4000, anthropicApiUrl: url }),
};

describe('langchain', () => {
  let all;
  before(async () => (all = await startAll()));
  after(() => all?.stop());

  for (const [client, make] of Object.entries(CLIENTS)) {
    for (const backend of backends(client)) {
      describe(`${client} before ${backend}`, () => {
        const model = (alias) => make(all.url, `${alias}-${backend}`);

        test('a plain answer with its usage', async () => {
          const answer = await model('agent').invoke('hello');
          assert.equal(answer.text, NOTHING);
          assert.ok(answer.usage_metadata.input_tokens > 0 && answer.usage_metadata.output_tokens > 0);
        });

        test('a stream adds up', async () => {
          const chunks = await gather(await model('stream').stream('hello'));
          assert.ok(chunks.filter((chunk) => chunk.text).length >= 2);
          const whole = chunks.reduce((sum, chunk) => sum.concat(chunk));
          assert.equal(whole.text, TOKENS);
          // ChatAnthropic takes the input from the first event alone: an estimate, where another dialect counts last.
          assert.ok(whole.usage_metadata.input_tokens > 0 && whole.usage_metadata.output_tokens > 0);
        });

        for (const streams of [false, true]) {
          test(`tools are called and their results come back${streams ? ', streamed' : ''}`, async () => {
            const bound = model('agent').bindTools([weatherTool]);
            const said = async (messages) => {
              if (!streams) return bound.invoke(messages);
              return (await gather(await bound.stream(messages))).reduce((sum, chunk) => sum.concat(chunk));
            };
            const asked = [new HumanMessage(TASK)];
            const first = await said(asked);
            assert.deepEqual(first.tool_calls.map((call) => call.args), CITIES);
            const results = await Promise.all(first.tool_calls.map((call) => weatherTool.invoke(call)));
            const second = await said([...asked, first, ...results]);
            assert.ok(second.text.startsWith(DONE), second.text);
          });
        }

        test('an image', async () => {
          const contentBlocks = [
            { type: 'text', text: 'see' },
            { type: 'image', mimeType: 'image/png', data: PIXEL },
          ];
          const answer = await model('agent').invoke([new HumanMessage({ contentBlocks })]);
          assert.equal(answer.text, `${NOTHING} ${SHOWN}`);
        });

        for (const [alias, status] of [['fault', 400], ['busy', 429], ['down', 502]]) {
          test(`${alias} keeps its status`, async () => {
            const has = (caught) => caught.status === status || assert.fail(`${caught.name}: ${caught.message}`);
            await assert.rejects(model(alias).invoke('hello'), has);
            await assert.rejects(async () => gather(await model(alias).stream('hello')), has);
          });
        }
      });
    }
  }
});
