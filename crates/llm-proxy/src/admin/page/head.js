// The head: how all are in one sentence, what their clients notice of it, the config, and why it was not reloaded.

import { window15 } from './chart.js';
import { at, el, icon, say, show } from './dom.js';
import { again, judge, overall } from './health.js';
import { count, duration, moment, percent, plural } from './words.js';

/** How many backends the sentence goes on to name. */
const NAMED = 4;

/** Draws it; `age`: seconds since the status was told. */
export function draw(status, age) {
  const now = status.now + age;
  const verdicts = status.backends.map((backend) => judge(backend, now));
  const { level, icon: drawing, sentence, about } = overall(status, verdicts);
  at('verdict').dataset.level = level;
  show(at('verdict-icon'), icon(drawing));
  say('verdict-sentence', sentence);
  const named = about.slice(0, NAMED).map((backend) => reason(backend, verdicts[status.backends.indexOf(backend)], age));
  const more = about.length > NAMED ? el('p', { key: '+' }, `and ${about.length - NAMED} more`) : null;
  show(at('verdict-why'), named, more);
  say('verdict-effect', effect());
  facts(status, now);
  refusal(status.config);
  document.title = { ok: 'llm-proxy', partial: '! llm-proxy' }[level] ?? `✕ ${sentence} · llm-proxy`;
}

function reason(backend, verdict, age) {
  const left = verdict.left === null ? null : Math.max(0, verdict.left - age);
  const then = verdict.state === 'cooling' && left === 0 ? 'the next request tries it' : again(verdict, left);
  return el('p', { key: backend.name },
    el('a', { href: '#backends-title', 'data-do': 'unfold', 'data-name': backend.name }, backend.name), ` ${verdict.why}`,
    then ? el('span', { class: 'then' }, `, ${then}`) : null);
}

/** What clients notice. */
function effect() {
  const { requests, errors, rescued } = window15();
  const time = 'in the last 15 minutes';
  if (requests === 0) return `No request ${time}.`;
  const by = rescued ? ` ${plural(rescued, 'request was', 'requests were')} answered by another attempt after the first had failed.` : '';
  if (errors === 0) return rescued ? `Clients notice nothing: none of ${plural(requests, 'request')} failed ${time}.${by}` : `None of ${plural(requests, 'request')} failed ${time}.`;
  return `${count(errors)} of ${plural(requests, 'request')} (${percent(errors / requests)}) failed ${time}.${by}`;
}

function facts(status, now) {
  say('version', status.version);
  say('uptime', `up ${duration(now - status.started)}`);
  const { generation, since } = status.config;
  show(at('config'), el('span', {}, 'Config ', el('b', {}, `#${generation}`)), el('span', {}, `in force since ${moment(since * 1000)}`),
    status.phase === 'serving' ? null : el('span', { class: 'then' }, status.phase.replaceAll('_', ' ')));
}

/** What was refused anew opens the box again, whoever had closed it. */
function refusal(config) {
  const box = at('broken');
  const error = config.last_reload_error ?? '';
  box.hidden = !error;
  if (error && at('broken-text').textContent !== error) box.open = true;
  text(error, config);
}

function text(error, config) {
  show(at('broken-icon'), icon('bad'));
  const number = Number(/(\d+) errors?\b/.exec(error)?.[1] ?? 0);
  say('broken-title', number > 1 ? `The last reload was refused: ${number} errors` : 'The last reload was refused');
  say('broken-note', `Config #${config.generation} stays in force. Mend the file and reload.`);
  say('broken-text', error);
}
