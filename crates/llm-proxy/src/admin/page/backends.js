// The backends: how each is, why, until when, what it has, and what can be done about it.

import { at, el, icon, show } from './dom.js';
import { judge, tally } from './health.js';
import { count, deed, duration, milliseconds, moment, percent, plural, scope } from './words.js';

/** Those whose details are unfolded. */
const unfolded = new Set();
/** What is being done, by backend: told until the answer is there. */
const doing = new Map();
/** A step that wants to be confirmed, by backend. */
const asked = new Set();

const DOING = { enable: 'Enabling…', disable: 'Disabling…', reset: 'Resetting…' };

export function toggle(name, open = !unfolded.has(name)) {
  if (open) unfolded.add(name);
  else unfolded.delete(name);
}

export const begin = (name, what) => doing.set(name, what);
export const end = (name) => doing.delete(name);

/** Whether a click on Disable may go ahead; the last one that is enabled has to be clicked twice. */
export function mayDisable(status, name) {
  const others = status.backends.some((backend) => backend.enabled && backend.name !== name);
  if (others || asked.delete(name)) return true;
  asked.add(name);
  return false;
}

export function draw(status, age) {
  const { backends } = status;
  at('backends-note').textContent = plural(backends.length, 'backend');
  show(at('backends'), head(), backends.map((backend) => row(backend, status.now, age)));
}

function head() {
  const names = ['Backend', 'State', 'Last 15 min', 'Answered', 'First byte', 'In flight', 'Cache', ''];
  return el('div', { class: 'backend-head', 'aria-hidden': 'true', key: '\u0000' }, names.map((name) => el('span', {}, name)));
}

function row(backend, then, age) {
  const verdict = judge(backend, then + age);
  const open = unfolded.has(backend.name);
  const cached = backend.cache?.hit_ratio;
  const { share, all } = tally(backend);
  const id = `backend-${backend.name}`;
  return el('article', { class: 'backend', key: backend.name, 'data-level': verdict.level, 'aria-label': backend.name },
    el('div', { class: 'backend-row' },
      el('button', { class: 'fold', type: 'button', 'data-do': 'fold', 'data-name': backend.name, 'aria-expanded': String(open), 'aria-controls': id },
        icon('open'), el('span', { class: 'name' }, backend.name), el('span', { class: 'faint protocol' }, backend.protocol)),
      el('div', { class: 'state' }, pill(verdict), el('span', { class: 'why' }, ...whyAndWhen(verdict, age))),
      history(backend),
      fact('answered', all ? percent(share) : '–', all ? `of ${plural(all, 'attempt')} in the last 15 minutes` : 'no attempt in the last 15 minutes'),
      fact('first byte', milliseconds(backend.first_byte?.ms), backend.first_byte ? `smoothed; the last ${duration(backend.first_byte.seconds_ago + age)} ago` : 'nothing was answered yet'),
      fact('in flight', backend.max_concurrent ? `${backend.in_flight} / ${backend.max_concurrent}` : count(backend.in_flight), backend.max_concurrent ? 'and how many may be' : null),
      fact('cache', cached === null || cached === undefined ? '–' : percent(cached), 'of input tokens came from the prompt cache'),
      buttons(backend, verdict)),
    open ? details(backend, id, age) : null);
}

function fact(name, value, hint) {
  return el('div', { class: 'fact', title: hint }, el('span', { class: 'fact-name' }, name), el('span', { class: 'fact-value' }, value));
}

function pill({ level, word, icon: drawing }) {
  return el('span', { class: 'pill', 'data-level': level }, icon(drawing), word);
}

function whyAndWhen(verdict, age) {
  if (verdict.level === 'ok') return [verdict.word === 'idle' ? 'not asked lately' : ''];
  const left = verdict.left === null ? null : Math.max(0, verdict.left - age);
  if (verdict.state === 'probing') return [verdict.why, ', is being tried now'];
  if (verdict.state === 'due' || left === 0) return [verdict.why, ', the next request tries it'];
  return left === null ? [verdict.why] : [verdict.why, ', again in ', el('b', { class: 'count' }, duration(left))];
}

/** A quarter of an hour in half minutes: height and colour by how much failed. */
function history(backend) {
  const cells = backend.lately?.cells ?? [];
  const places = Array.from({ length: 31 }, (_, n) => cells[cells.length - 31 + n] ?? null);
  const { answered, failed, all } = tally(backend);
  const words = all ? `${count(answered)} answered, ${count(failed)} failed in the last 15 minutes` : 'no attempt in the last 15 minutes';
  const cell = (own) => {
    if (!own || own[0] + own[1] === 0) return el('i', { class: 'none' });
    const part = own[1] / (own[0] + own[1]);
    return el('i', { class: part === 0 ? 'good' : part < 1 ? 'mixed' : 'all-bad', css: { '--failed': `${Math.round(part * 100)}%` } });
  };
  return el('div', { class: 'history', role: 'img', 'aria-label': words, title: words }, places.map(cell));
}

function buttons(backend, verdict) {
  const busy = doing.get(backend.name);
  const forgivable = (backend.cooldowns?.length ?? 0) > 0 || (backend.lately?.failed_in_a_row ?? 0) > 0;
  const button = (what, label, more = {}) => el('button', {
    class: 'button small', type: 'button', key: what, 'data-do': what, 'data-name': backend.name, disabled: Boolean(busy), 'aria-label': `${label} ${backend.name}`, ...more,
  }, busy === what ? DOING[what] : label);
  const reset = backend.enabled ? button('reset', 'Reset', { disabled: Boolean(busy) || !forgivable, title: 'Forget its cooldowns: the next request may ask it' }) : null;
  const by = verdict.byConfig ? { disabled: true, title: 'The config disables it: set `enabled: true` there and reload' } : {};
  const sure = asked.has(backend.name);
  const off = backend.enabled ? button('disable', sure ? 'Disable the last one?' : 'Disable', sure ? { class: 'button small danger' } : {}) : button('enable', 'Enable', by);
  return el('div', { class: 'buttons' }, reset, off);
}

function details(backend, id, age) {
  const loss = backend.lately?.last_failure;
  const cooldowns = backend.cooldowns ?? [];
  return el('div', { class: 'details', id, key: 'details' },
    el('dl', { class: 'pairs' },
      pair('Address', el('code', {}, backend.address ?? '–')),
      pair('Last failure', loss ? [el('span', {}, `${deed(loss)} at ${moment(loss.at * 1000)}`), el('code', {}, loss.class), loss.model ? el('span', { class: 'faint' }, `model ${loss.model}`) : null] : 'none since the start'),
      pair('Prompt cache', backend.cache?.input_tokens ? `${count(backend.cache.cached_tokens)} of ${plural(backend.cache.input_tokens, 'input token')} came from it; ${plural(backend.cache.moves, 'conversation')} moved away` : 'no input yet')),
    el('div', { class: 'columns' },
      part('What cools', cooldowns.length ? cooldowns.map((own, n) => cooldown(own, n, age)) : el('li', { class: 'faint' }, 'Nothing')),
      part(plural(backend.models?.length ?? 0, 'model'), (backend.models ?? []).map((model, n) => modelOf(backend, model, n))),
      part(plural(backend.keys?.length ?? 0, 'key'), backend.keys?.length ? backend.keys.map((key) => keyOf(backend, key)) : el('li', { class: 'faint' }, 'None is sent'))));
}

const pair = (name, value) => el('div', { class: 'pair' }, el('dt', {}, name), el('dd', {}, value));
const part = (title, rows) => el('section', {}, el('h3', {}, title), el('ul', { class: 'plain' }, rows));

function cooldown(own, n, age) {
  const left = Math.max(0, own.seconds_left - age);
  const when = own.probing ? 'is being tried now' : left === 0 ? 'waits for the next request' : `until ${moment(Date.parse(own.until))}, ${duration(left)}`;
  return el('li', { key: `${n}` }, icon(own.probing ? 'probing' : 'cooling'), el('span', {}, el('b', {}, scope(own)), ` ${deed(own)} `, el('code', {}, own.class)),
    el('span', { class: 'faint' }, `${when}${own.times > 1 ? `; ${own.times} times in a row` : ''}`));
}

function modelOf(backend, model, n) {
  const out = (backend.cooldowns ?? []).find((own) => ['backend_model', 'key_model'].includes(own.scope) && own.model === model.name);
  const name = model.name ? el('b', {}, model.name) : el('span', {}, 'whatever the client asks for');
  const latency = model.first_byte_ms === null ? null : el('span', { class: 'faint' }, `first byte ${milliseconds(model.first_byte_ms)}`);
  return el('li', { key: `${n}` }, icon(out ? 'cooling' : 'ok'), el('span', {}, name, el('span', { class: 'faint' }, ` for ${model.aliases.join(', ')}`)), latency);
}

function keyOf(backend, key) {
  const out = (backend.cooldowns ?? []).find((own) => own.key === key);
  return el('li', { key }, icon(out ? 'cooling' : 'ok'), el('b', {}, key), el('span', { class: 'faint' }, out ? deed(out) : 'in use'));
}
