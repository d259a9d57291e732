// The official packages before backends of each dialect, which an agent's model drives.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

import { CITIES, DONE, NOTHING, REMEMBERS, SHOWN, TASK, TOKENS, backends, weather } from './matrix.js';
import { KEY, startAll } from './proxy.js';
import { CHAT_TOOL, CLAUDE_TOOL, HELLO, PIXEL } from './scripts.js';

const user = (content) => [{ role: 'user', content }];
const PICTURE = `data:image/png;base64,${PIXEL}`;

describe('crossed', () => {
  let all;
  let openai;
  let claude;
  before(async () => {
    all = await startAll();
    openai = new OpenAI({ baseURL: `${all.url}/v1`, apiKey: KEY, maxRetries: 0 });
    claude = new Anthropic({ baseURL: all.url, apiKey: KEY, authToken: null, maxRetries: 0 });
  });
  after(() => all?.stop());

  const cities = (texts) => texts.map((text) => JSON.parse(text));

  for (const backend of backends('messages')) {
    describe(`anthropic before ${backend}`, () => {
      const ask = (alias, more = {}) => ({ model: `${alias}-${backend}`, max_tokens: 4000, messages: HELLO, ...more });
      const text = (answer) => answer.content.map((block) => block.text ?? '').join('');

      test('a plain answer', async () => {
        const answer = await claude.messages.create(ask('agent'));
        assert.equal(text(answer), NOTHING);
        assert.equal(answer.stop_reason, 'end_turn');
        assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
      });

      test('a stream', async () => {
        const pieces = [];
        const stream = claude.messages.stream(ask('stream')).on('text', (piece) => pieces.push(piece));
        const final = await stream.finalMessage();
        assert.ok(pieces.length >= 2);
        assert.equal(pieces.join(''), TOKENS);
        assert.equal(text(final), TOKENS);
        assert.ok(final.usage.input_tokens > 0 && final.usage.output_tokens > 0);
      });

      test('parallel tools and thinking over two turns', async () => {
        const thinking = { type: 'enabled', budget_tokens: 1024 };
        const said = (messages) =>
          claude.messages.stream(ask('agent', { messages, thinking, tools: [CLAUDE_TOOL] })).finalMessage();
        const first = await said(user(TASK));
        const calls = first.content.filter((block) => block.type === 'tool_use');
        assert.equal(first.stop_reason, 'tool_use');
        assert.deepEqual(calls.map((call) => call.input), CITIES);
        const results = calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: weather(call.input) }));
        const turns = [...user(TASK), { role: 'assistant', content: first.content }, ...user(results)];
        assert.equal(text(await said(turns)), `${DONE} ${REMEMBERS}`);
      });

      test('an image', async () => {
        const source = { type: 'base64', media_type: 'image/png', data: PIXEL };
        const answer = await claude.messages.create(ask('agent', { messages: user([{ type: 'image', source }]) }));
        assert.equal(text(answer), `${NOTHING} ${SHOWN}`);
      });

      test('tokens are counted', async () => {
        const count = await claude.messages.countTokens({ model: `agent-${backend}`, messages: HELLO });
        assert.ok(count.input_tokens > 0);
      });

      for (const [alias, error] of [
        ['fault', Anthropic.BadRequestError],
        ['busy', Anthropic.RateLimitError],
        ['down', Anthropic.InternalServerError],
      ]) {
        test(`${alias} has its class`, async () => {
          for (const stream of [false, true]) {
            await assert.rejects(claude.messages.create(ask(alias, { stream })), error);
          }
        });
      }
    });
  }

  const ERRORS = [
    ['fault', OpenAI.BadRequestError],
    ['busy', OpenAI.RateLimitError],
    ['down', OpenAI.InternalServerError],
  ];

  for (const backend of backends('chat')) {
    describe(`openai chat before ${backend}`, () => {
      const ask = (alias, more = {}) => ({ model: `${alias}-${backend}`, messages: HELLO, ...more });

      test('a plain answer', async () => {
        const answer = await openai.chat.completions.create(ask('agent'));
        assert.equal(answer.choices[0].message.content, NOTHING);
        assert.equal(answer.choices[0].finish_reason, 'stop');
        assert.ok(answer.usage.prompt_tokens > 0 && answer.usage.completion_tokens > 0);
      });

      test('a stream', async () => {
        const stream = openai.chat.completions.stream(ask('stream', { stream_options: { include_usage: true } }));
        const final = await stream.finalChatCompletion();
        assert.equal(final.choices[0].message.content, TOKENS);
        assert.ok(final.usage.prompt_tokens > 0 && final.usage.completion_tokens > 0);
      });

      test('parallel tools over two turns', async () => {
        const said = async (messages) =>
          (await openai.chat.completions.stream(ask('agent', { messages, tools: [CHAT_TOOL] })).finalChatCompletion())
            .choices[0];
        const first = await said(user(TASK));
        const calls = first.message.tool_calls;
        assert.equal(first.finish_reason, 'tool_calls');
        assert.deepEqual(cities(calls.map((call) => call.function.arguments)), CITIES);
        const tool_calls = calls.map(({ id, type, function: { name, arguments: text } }) => ({
          id,
          type,
          function: { name, arguments: text },
        }));
        const results = calls.map((call) => ({
          role: 'tool',
          tool_call_id: call.id,
          content: weather(JSON.parse(call.function.arguments)),
        }));
        const turn = { role: 'assistant', content: first.message.content, tool_calls };
        const second = await said([...user(TASK), turn, ...results]);
        assert.equal(second.message.content, DONE);
      });

      test('an image', async () => {
        const messages = user([{ type: 'image_url', image_url: { url: PICTURE } }]);
        const answer = await openai.chat.completions.create(ask('agent', { messages }));
        assert.equal(answer.choices[0].message.content, `${NOTHING} ${SHOWN}`);
      });

      for (const [alias, error] of ERRORS) {
        test(`${alias} has its class`, async () => {
          for (const stream of [false, true]) {
            await assert.rejects(openai.chat.completions.create(ask(alias, { stream })), error);
          }
        });
      }
    });
  }

  for (const backend of backends('responses')) {
    describe(`openai Responses before ${backend}`, () => {
      const ask = (alias, more = {}) => ({ model: `${alias}-${backend}`, input: 'hello', ...more });

      test('a plain answer', async () => {
        const answer = await openai.responses.create(ask('agent'));
        assert.equal(answer.output_text, NOTHING);
        assert.equal(answer.status, 'completed');
        assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
      });

      test('a stream', async () => {
        const stream = openai.responses.stream(ask('stream'));
        let told = '';
        for await (const event of stream) if (event.type === 'response.output_text.delta') told += event.delta;
        assert.equal(told, TOKENS);
        assert.equal((await stream.finalResponse()).output_text, TOKENS);
      });

      test('parallel calls and reasoning over two turns', async () => {
        const tools = [{ type: 'function', ...CHAT_TOOL.function, strict: false }];
        const more = { tools, store: false, include: ['reasoning.encrypted_content'], reasoning: { effort: 'medium' } };
        const said = (input) => openai.responses.create(ask('agent', { input, ...more }));
        const first = await said(user(TASK));
        const calls = first.output.filter((item) => item.type === 'function_call');
        assert.deepEqual(cities(calls.map((call) => call.arguments)), CITIES);
        const outputs = calls.map((call) => ({
          type: 'function_call_output',
          call_id: call.call_id,
          output: weather(JSON.parse(call.arguments)),
        }));
        const second = await said([...user(TASK), ...first.output, ...outputs]);
        assert.equal(second.output_text, `${DONE} ${REMEMBERS}`);
      });

      test('an image', async () => {
        const input = user([{ type: 'input_image', image_url: PICTURE, detail: 'auto' }]);
        const answer = await openai.responses.create(ask('agent', { input }));
        assert.equal(answer.output_text, `${NOTHING} ${SHOWN}`);
      });

      for (const [alias, error] of ERRORS) {
        test(`${alias} has its class`, async () => {
          for (const stream of [false, true]) {
            await assert.rejects(openai.responses.create(ask(alias, { stream })), error);
          }
        });
      }
    });
  }
});
