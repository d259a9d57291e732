// The `@anthropic-ai/sdk` package against the proxy.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';

import { ofJson } from './backend.js';
import { gather } from './gather.js';
import { KEY, NARROW_KEY, soon, startAll } from './proxy.js';
import { CLAUDE_TOOL, HELLO, PIXEL, WEATHER_ARGUMENTS } from './scripts.js';
import { claudeAnswer, claudeToolStream, endlessClaude } from './scripts.js';

describe('anthropic', () => {
  let all;
  let client;
  before(async () => {
    all = await startAll();
    client = clientOf(KEY);
  });
  after(() => all?.stop());

  const clientOf = (apiKey, options = {}) => new Anthropic({ baseURL: all.url, apiKey, authToken: null, ...options });
  const ask = (model, more = {}) => ({ model, max_tokens: 100, messages: HELLO, ...more });

  test('a plain answer', async () => {
    const answer = await client.messages.create(ask('claude-small'));
    assert.ok(answer.content[0].text);
    assert.equal(answer.stop_reason, 'end_turn');
  });

  test('tokens are counted', async () => {
    const count = await client.messages.countTokens({ model: 'claude-small', messages: HELLO });
    assert.ok(count.input_tokens > 0);
  });

  test('the stream helper gathers the same text', async () => {
    const pieces = [];
    const stream = client.messages.stream(ask('claude-stream')).on('text', (piece) => pieces.push(piece));
    const final = await stream.finalMessage();
    assert.ok(pieces.length >= 2);
    assert.equal(final.content[0].text, pieces.join(''));
  });

  test('a streamed tool call keeps its arguments', async () => {
    all.backend.answers('anthropic-tool', claudeToolStream());
    const final = await client.messages.stream(ask('anthropic-tool', { tools: [CLAUDE_TOOL] })).finalMessage();
    assert.equal(final.stop_reason, 'tool_use');
    assert.deepEqual(final.content.at(-1).input, WEATHER_ARGUMENTS);
  });

  test('an image goes on untouched', async () => {
    all.backend.answers('anthropic-image', claudeAnswer());
    const source = { type: 'base64', media_type: 'image/png', data: PIXEL };
    const messages = [{ role: 'user', content: [{ type: 'image', source }] }];
    await client.messages.create(ask('anthropic-image', { messages }));
    assert.deepEqual(all.backend.asked('anthropic-image')[0].json.messages, messages);
  });

  test('a client that leaves frees the backend', async () => {
    const reply = endlessClaude();
    all.backend.answers('anthropic-leaves', reply);
    const stream = await client.messages.create(ask('anthropic-leaves', { stream: true }));
    for await (const _first of stream) break;
    await soon(reply.left, 'the backend still works for nobody');
  });

  test('a dead backend is not noticed', async () => {
    const once = clientOf(KEY, { maxRetries: 0 });
    const { data, response } = await once.messages.create(ask('claude-falls')).withResponse();
    assert.ok(data.content[0].text);
    assert.equal(response.headers.get('x-llm-proxy-backend'), 'sim-anthropic');
  });

  test('models are listed and got', async () => {
    const ids = (await gather(client.models.list())).map((model) => model.id);
    assert.ok(ids.includes('claude-small'));
    assert.equal((await client.models.retrieve('claude-small')).type, 'model');
  });

  for (const [key, model, error, kind] of [
    ['a-wrong-key-0123456789', 'small', Anthropic.AuthenticationError, 'authentication_error'],
    [KEY, 'nobody', Anthropic.NotFoundError, 'not_found_error'],
    [NARROW_KEY, 'claude-small', Anthropic.PermissionDeniedError, 'permission_error'],
  ]) {
    test(`${kind} has its class`, async () => {
      const asked = clientOf(key, { maxRetries: 0 }).messages.create(ask(model));
      await assert.rejects(asked, (caught) => caught instanceof error && caught.error.error.type === kind);
    });
  }

  test('a fault of the caller comes word for word and is not tried again', async () => {
    const error = { type: 'error', error: { type: 'invalid_request_error', message: 'tone' }, request_id: 'req_1' };
    all.backend.answers('anthropic-fault', ofJson(error, 400));
    await assert.rejects(client.messages.create(ask('anthropic-fault')), (caught) => {
      assert.deepEqual(caught.error, error);
      return caught instanceof Anthropic.BadRequestError;
    });
    assert.equal(all.backend.asked('anthropic-fault').length, 1);
  });

  test("a backend's rate limit says when", async () => {
    const error = { type: 'error', error: { type: 'rate_limit_error', message: 'Slow down.' } };
    all.backend.answers('anthropic-rate', ofJson(error, 429, { 'retry-after': '7' }));
    const asked = clientOf(KEY, { maxRetries: 0 }).messages.create(ask('anthropic-rate'));
    await assert.rejects(asked, (caught) => {
      const wait = Number(caught.headers.get('retry-after'));
      return caught instanceof Anthropic.RateLimitError && Number.isInteger(wait) && wait >= 1 && wait <= 7;
    });
  });

  test('the client retries an overload as often as it was told', async () => {
    const overload = ofJson({ type: 'error', error: { type: 'overloaded_error', message: 'busy' } }, 529);
    all.backend.answers('anthropic-busy', overload, overload, claudeAnswer());
    await clientOf(KEY, { maxRetries: 2 }).messages.create(ask('anthropic-busy'));
    assert.equal(all.backend.asked('anthropic-busy').length, 3);
  });
});
