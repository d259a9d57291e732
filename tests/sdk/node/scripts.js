// Answers of backends, whole and streamed, in the shapes of the two vendors.

import { ofEvents, ofJson } from './backend.js';

export const HELLO = [{ role: 'user', content: 'hello' }];
export const WEATHER_ARGUMENTS = { city: 'Zürich', days: 2 };
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } } };
export const CHAT_TOOL = { type: 'function', function: { name: 'weather', parameters: PARAMETERS } };
export const CLAUDE_TOOL = { name: 'weather', input_schema: PARAMETERS };

/** A PNG of one pixel, base64. */
export const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export function chatAnswer(text = 'hello') {
  const choice = { index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' };
  const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
  return ofJson({ id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'scripted', choices: [choice], usage });
}

function chunk(delta, finish_reason = null) {
  const choices = [{ index: 0, delta, finish_reason }];
  return { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'scripted', choices };
}

export function endlessChat() {
  return ofEvents([chunk({ role: 'assistant', content: '' }), chunk({ content: 'a' }), chunk({ content: 'b' })], true);
}

export function chatToolStream() {
  const call = (part, more = {}) => ({ tool_calls: [{ index: 0, ...more, function: part }] });
  return ofEvents([
    chunk({ role: 'assistant', content: null }),
    chunk(call({ name: 'weather', arguments: '' }, { id: 'call_1', type: 'function' })),
    chunk(call({ arguments: '{"city":"Zü' })),
    chunk(call({ arguments: 'rich","days":2}' })),
    chunk({}, 'tool_calls'),
    '[DONE]',
  ]);
}

function message(content, stop_reason) {
  const usage = { input_tokens: 3, output_tokens: 2 };
  return { id: 'msg_1', type: 'message', role: 'assistant', model: 'scripted', content, stop_reason, stop_sequence: null, usage };
}

export function claudeAnswer(text = 'hello') {
  return ofJson(message([{ type: 'text', text }], 'end_turn'));
}

export function endlessClaude() {
  return ofEvents(
    [
      { type: 'message_start', message: message([], null) },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'a' } },
    ],
    true,
  );
}

export function claudeToolStream() {
  const part = (partial_json) => ({ type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json } });
  return ofEvents([
    { type: 'message_start', message: message([], null) },
    { type: 'content_block_start', index: 0, content_block: { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} } },
    part('{"city":"Zü'),
    part('rich","days":2}'),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 2 } },
    { type: 'message_stop' },
  ]);
}
