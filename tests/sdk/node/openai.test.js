// The `openai` package against the proxy.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import OpenAI from 'openai';

import { ofJson } from './backend.js';
import { gather } from './gather.js';
import { KEY, NARROW_KEY, soon, startAll } from './proxy.js';
import { CHAT_TOOL, HELLO, PIXEL, WEATHER_ARGUMENTS } from './scripts.js';
import { chatAnswer, chatToolStream, endlessChat } from './scripts.js';

describe('openai', () => {
  let all;
  let client;
  before(async () => {
    all = await startAll();
    client = clientOf(KEY);
  });
  after(() => all?.stop());

  const clientOf = (apiKey, options = {}) => new OpenAI({ baseURL: `${all.url}/v1`, apiKey, ...options });
  const ask = (model, more = {}) => ({ model, messages: HELLO, ...more });

  test('a plain answer', async () => {
    const answer = await client.chat.completions.create(ask('small'));
    assert.ok(answer.choices[0].message.content);
    assert.equal(answer.choices[0].finish_reason, 'stop');
  });

  test('a Responses answer', async () => {
    const answer = await client.responses.create({ model: 'small', input: 'hello' });
    assert.equal(answer.status, 'completed');
    assert.ok(answer.output_text);
  });

  test('a stream comes in pieces and ends', async () => {
    const stream = await client.chat.completions.create(ask('stream', { stream: true }));
    const chunks = await gather(stream);
    assert.ok(chunks.filter((chunk) => chunk.choices[0]?.delta.content).length >= 2);
    assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  });

  test('the Responses stream helper gathers the same text', async () => {
    const stream = client.responses.stream({ model: 'stream', input: 'hello' });
    let told = '';
    for await (const event of stream) if (event.type === 'response.output_text.delta') told += event.delta;
    assert.ok(told);
    assert.equal((await stream.finalResponse()).output_text, told);
  });

  test('a streamed tool call keeps its arguments', async () => {
    all.backend.answers('openai-tool', chatToolStream());
    const stream = client.chat.completions.stream(ask('openai-tool', { tools: [CHAT_TOOL] }));
    const [choice] = (await stream.finalChatCompletion()).choices;
    assert.equal(choice.finish_reason, 'tool_calls');
    assert.deepEqual(JSON.parse(choice.message.tool_calls[0].function.arguments), WEATHER_ARGUMENTS);
  });

  test('an image goes on untouched', async () => {
    all.backend.answers('openai-image', chatAnswer());
    const content = [{ type: 'image_url', image_url: { url: `data:image/png;base64,${PIXEL}`, detail: 'low' } }];
    await client.chat.completions.create(ask('openai-image', { messages: [{ role: 'user', content }] }));
    assert.deepEqual(all.backend.asked('openai-image')[0].json.messages[0].content, content);
  });

  test('a client that leaves frees the backend', async () => {
    const reply = endlessChat();
    all.backend.answers('openai-leaves', reply);
    const stream = await client.chat.completions.create(ask('openai-leaves', { stream: true }));
    for await (const _first of stream) break;
    await soon(reply.left, 'the backend still works for nobody');
  });

  test('dead backends are not noticed', async () => {
    const once = clientOf(KEY, { maxRetries: 0 });
    const { data, response } = await once.chat.completions.create(ask('falls')).withResponse();
    assert.ok(data.choices[0].message.content);
    assert.equal(response.headers.get('x-llm-proxy-backend'), 'sim-openai');
  });

  test('embeddings', async () => {
    const answer = await client.embeddings.create({ model: 'small', input: ['one', 'two'] });
    assert.deepEqual(answer.data.map((item) => item.index), [0, 1]);
    assert.equal(typeof answer.data[0].embedding[0], 'number');
  });

  test('models are listed and got, and a key sees only its own', async () => {
    const ids = async (of) => (await gather(of.models.list())).map((model) => model.id);
    assert.ok((await ids(client)).includes('claude-small'));
    assert.equal((await client.models.retrieve('small')).id, 'small');
    assert.deepEqual(await ids(clientOf(NARROW_KEY)), ['small']);
  });

  for (const [key, model, error, code] of [
    ['a-wrong-key-0123456789', 'small', OpenAI.AuthenticationError, 'invalid_api_key'],
    [KEY, 'nobody', OpenAI.NotFoundError, 'model_not_found'],
    [NARROW_KEY, 'claude-small', OpenAI.PermissionDeniedError, 'model_not_allowed'],
  ]) {
    test(`${code} has its class`, async () => {
      const asked = clientOf(key, { maxRetries: 0 }).chat.completions.create(ask(model));
      await assert.rejects(asked, (caught) => caught instanceof error && caught.code === code);
    });
  }

  test('a fault of the caller comes word for word and is not tried again', async () => {
    const error = { message: 'Unknown tone.', type: 'invalid_request_error', param: 'tone', code: 'bad_tone' };
    all.backend.answers('openai-fault', ofJson({ error }, 400));
    const asked = client.chat.completions.create(ask('openai-fault'));
    await assert.rejects(asked, (caught) => {
      assert.deepEqual(caught.error, error);
      return caught instanceof OpenAI.BadRequestError;
    });
    assert.equal(all.backend.asked('openai-fault').length, 1);
  });

  test("a backend's rate limit says when", async () => {
    const error = { message: 'Slow down.', type: 'rate_limit_error', param: null, code: 'rate_limit_exceeded' };
    all.backend.answers('openai-rate', ofJson({ error }, 429, { 'retry-after': '7' }));
    const asked = clientOf(KEY, { maxRetries: 0 }).chat.completions.create(ask('openai-rate'));
    await assert.rejects(asked, (caught) => {
      const wait = Number(caught.headers.get('retry-after'));
      return caught instanceof OpenAI.RateLimitError && Number.isInteger(wait) && wait >= 1 && wait <= 7;
    });
  });

  test('the client retries an outage as often as it was told', async () => {
    const outage = ofJson({ error: { message: 'down', type: 'server_error' } }, 503);
    all.backend.answers('openai-outage', outage, outage, chatAnswer());
    await clientOf(KEY, { maxRetries: 2 }).chat.completions.create(ask('openai-outage'));
    assert.equal(all.backend.asked('openai-outage').length, 3);
  });
});
