// The requests that ended last, and why each went where it went.

import { at, el, icon, show } from './dom.js';
import { cameTo, clock, count, dollars, duration, milliseconds, moment, plural, scope } from './words.js';

/** How many are kept, as many as the program keeps. */
const KEPT = 256;
const PAGE = 15;

let all = [];
let last = 0;
/** Those that came while somebody reads; shown when asked for. */
let held = [];
let filter = 'all';
let sought = '';
let shown = PAGE;
/** The number of the one that is unfolded. */
let unfolded = null;
/** Whether somebody points at the list: it must not run away under the pointer. */
let pointed = false;

const FILTERS = [
  { name: 'all', label: 'All', is: () => true },
  { name: 'failed', label: 'Failed', is: failed, none: 'No request failed among the last ones.' },
  { name: 'fell-back', label: 'Fell back', is: (one) => !failed(one) && one.attempts.length > 1, none: 'Every one of the last requests was answered at the first attempt.' },
  { name: 'slow', label: 'Slowest tenth', is: (one) => one.first_byte_ms !== null && one.first_byte_ms >= slow(), none: 'No answer among the last requests.' },
];

function failed(one) {
  return !one.cancelled && (one.status >= 400 || (one.class !== null && one.class !== 'client_gone'));
}

/** From when on a first byte is among the slowest tenth of those that are listed. */
function slow() {
  const times = all.map((one) => one.first_byte_ms).filter((ms) => ms !== null).sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.9)] ?? Infinity;
}

export const path = () => `/api/requests?after=${last}&limit=${KEPT}`;

/** Takes what is new; a number below the last one says that the program began anew. */
export function take({ requests, last: newest }) {
  if (newest < last) {
    all = [];
    held = [];
    last = 0;
    unfolded = null;
    return false;
  }
  last = newest;
  const known = all[0]?.number ?? 0;
  if (known && (unfolded !== null || pointed)) held = [...requests, ...held].slice(0, KEPT);
  else all = [...requests, ...all].slice(0, KEPT);
  return true;
}

export function unhold() {
  all = [...held, ...all].slice(0, KEPT);
  held = [];
}

export function toggle(number) {
  unfolded = unfolded === number ? null : number;
}

/** Says whether there is anything new to draw by it. */
export function point(at) {
  pointed = at;
  if (pointed || unfolded !== null || !held.length) return false;
  unhold();
  return true;
}

export function choose(name) {
  filter = name;
  shown = PAGE;
}

export function seek(text) {
  sought = text.trim().toLowerCase();
  shown = PAGE;
}

export function more() {
  shown += PAGE;
}

function words(one) {
  const attempts = one.attempts.flatMap((attempt) => [attempt.backend, attempt.model, attempt.key, attempt.class]);
  return [one.request_id, one.alias, one.key, one.dialect, one.class, one.status, one.ip, ...attempts].join(' ').toLowerCase();
}

export function draw() {
  const { is, none } = FILTERS.find((own) => own.name === filter);
  const found = all.filter((one) => is(one) && (!sought || words(one).includes(sought)));
  show(at('filters'), FILTERS.map((own) => tab(own)));
  const news = held.length ? el('button', { class: 'news', type: 'button', 'data-do': 'unhold' }, `${count(held.length)} new, show`) : null;
  show(at('requests-note'), all.length ? `the last ${count(all.length)}` : '', news);
  const rows = found.slice(0, shown).map(row);
  const rest = found.length > shown ? el('button', { class: 'more', type: 'button', key: 'more', 'data-do': 'more' }, `Show more of ${count(found.length)}`) : null;
  show(at('requests'), rows.length ? [head(), rows, rest] : empty(none));
}

function tab({ name, label, is }) {
  const number = name === 'all' ? '' : all.filter(is).length;
  return el('button', { type: 'button', key: name, 'data-do': 'filter', 'data-name': name, 'aria-pressed': String(filter === name) }, label, el('span', { class: 'tab-count' }, String(number)));
}

function empty(none) {
  if (!all.length) {
    return el('div', { class: 'empty', key: 'empty' }, el('p', {}, 'No request yet.'), el('p', { class: 'faint' }, 'Send one to the proxy’s own address, and it is here a moment after its last byte.'));
  }
  return el('div', { class: 'empty', key: 'empty' }, el('p', {}, sought ? `Nothing among the last ${all.length} has “${sought}”.` : none));
}

function head() {
  const names = ['Time', 'Status', 'Asked for', 'Answered by', 'Attempts', 'First byte', 'Total', 'Tokens', 'Cost', 'Key'];
  return el('div', { class: 'request-head', 'aria-hidden': 'true', key: 'head' }, names.map((name) => el('span', {}, name)));
}

function row(one) {
  const open = unfolded === one.number;
  const level = one.cancelled ? 'off' : failed(one) ? (one.status >= 500 || one.status < 400 ? 'down' : 'partial') : 'ok';
  const drawing = { off: 'off', down: 'bad', partial: 'warn', ok: 'ok' }[level];
  const tokens = one.input_tokens === null && one.output_tokens === null ? '–' : `${count(one.input_tokens)} → ${count(one.output_tokens)}`;
  const id = `request-${one.number}`;
  const answered = one.attempts.at(-1)?.class === 'ok';
  return el('article', { class: 'request', key: `${one.number}`, 'data-level': level },
    el('button', { class: 'request-row', type: 'button', 'data-do': 'request', 'data-name': one.number, 'aria-expanded': String(open), 'aria-controls': id },
      el('time', { class: 'c-time', datetime: one.time }, clock(new Date(one.time))),
      el('span', { class: `c-status pill${level === 'ok' ? ' plain-pill' : ''}`, 'data-level': level }, icon(drawing), one.cancelled ? 'left' : String(one.status), el('span', { class: 'sr' }, failed(one) ? ` failed: ${one.class ?? ''}` : '')),
      el('span', { class: 'c-alias' }, one.alias ?? '–'),
      el('span', { class: 'c-backend' }, answered ? [el('b', {}, one.backend), one.model && one.model !== one.alias ? el('span', { class: 'faint' }, ` ${one.model}`) : null] : el('span', { class: 'faint' }, failed(one) ? one.class ?? 'nobody' : 'nobody')),
      el('span', { class: 'c-attempts', title: plural(one.attempts.length, 'attempt') }, one.attempts.map(mark), el('span', { class: 'sr' }, plural(one.attempts.length, 'attempt'))),
      el('span', { class: 'c-first num' }, milliseconds(one.first_byte_ms)),
      el('span', { class: 'c-all num' }, milliseconds(one.duration_ms)),
      el('span', { class: 'c-tokens num' }, tokens),
      el('span', { class: 'c-cost num' }, dollars(one.cost_usd)),
      el('span', { class: 'c-key faint' }, one.key ?? '–')),
    open ? why(one, id) : null);
}

/** What ended an attempt by no fault of its backend is neither well nor down. */
function levelOf(attempt) {
  if (attempt.class === 'ok') return 'ok';
  return ['client_gone', 'overtaken'].includes(attempt.class) ? 'off' : 'down';
}

function mark(attempt) {
  const level = levelOf(attempt);
  return el('i', { class: 'mark', 'data-level': level }, icon({ ok: 'ok', off: 'off', down: 'bad' }[level]));
}

function why(one, id) {
  const facts = [
    ['Request id', [el('code', {}, one.request_id), el('button', { class: 'quiet square', type: 'button', 'data-do': 'copy', 'data-text': one.request_id, 'aria-label': 'Copy the request id' }, icon('copy'))]],
    ['Ended', moment(one.time)],
    ['Dialect', one.dialect],
    ['From', one.ip ?? '–'],
    ['Key', one.key ?? 'none'],
    ['Tokens', tokens(one)],
    ['Cost', dollars(one.cost_usd)],
    ['Config', `#${one.generation}`],
  ];
  return el('div', { class: 'details', id, key: 'why' },
    el('p', { class: 'story' }, story(one)),
    waterfall(one),
    el('ol', { class: 'trail' }, skips(one), one.attempts.map((attempt, n) => step(attempt, n))),
    one.warnings?.length ? el('p', { class: 'warned' }, icon('warn'), el('span', {}, 'The conversion could not carry ', one.warnings.map((name, n) => [n ? ', ' : '', el('code', {}, name)]), '.')) : null,
    el('dl', { class: 'pairs' }, facts.map(([name, value]) => el('div', { class: 'pair' }, el('dt', {}, name), el('dd', {}, value)))));
}

function tokens(one) {
  if (one.input_tokens === null && one.output_tokens === null) return 'not told';
  const more = [['cached_tokens', 'from the cache'], ['cache_write_tokens', 'into the cache'], ['reasoning_tokens', 'of reasoning']];
  const extra = more.filter(([name]) => one[name]).map(([name, what]) => `${count(one[name])} ${what}`);
  return `${count(one.input_tokens)} in, ${count(one.output_tokens)} out${extra.length ? ` (${extra.join(', ')})` : ''}`;
}

/** The whole way in a sentence. */
function story(one) {
  const queued = one.queue_ms ? `It waited ${milliseconds(one.queue_ms)} for a place. ` : '';
  const skipped = (one.skipped ?? []).map((own) => `${own.backend} was left out, ${skipReason(own)}`);
  const tried = one.attempts.map((attempt) => {
    const cooled = attempt.cooldown ? ` and rests for ${duration(attempt.cooldown.ms / 1000)}` : '';
    return `${attempt.backend} ${cameTo(attempt)} after ${milliseconds(attempt.ms)}${cooled}`;
  });
  const way = [...skipped, ...tried];
  if (!way.length) return `${queued}No backend was asked: ${refusal(one)}.`;
  const end = one.cancelled ? ' The client left before the answer was whole.' : failed(one) && one.status < 400 ? ' The answer broke off after it had begun.' : failed(one) ? ` The client got ${one.status}.` : '';
  return `${queued}${way.join('; ')}.${end}`;
}

function refusal(one) {
  if (one.cancelled) return 'the client left before';
  const known = { 401: 'the key is none of the config’s', 403: 'the key may not use this model', 404: 'no alias has this name', 413: 'the body is too large', 429: 'a limit was reached', 503: 'no backend could take it' };
  return known[one.status] ?? `the proxy answered ${one.status}`;
}

function skipReason({ why: name, class: held, ms_left: left }) {
  const told = {
    cooling: `cooling for “${held}” with ${duration((left ?? 0) / 1000)} left`,
    probed: `another request was trying it after “${held}”`,
    full: 'it had no place free',
  };
  return told[name] ?? name;
}

function skips(one) {
  return (one.skipped ?? []).map((own, n) => el('li', { key: `s${n}`, 'data-level': 'off' }, el('span', { class: 'pill', 'data-level': 'off' }, icon('skip'), 'left out'),
    el('span', {}, el('b', {}, own.backend), own.model ? el('span', { class: 'faint' }, ` ${own.model}`) : null), el('span', { class: 'faint' }, skipReason(own))));
}

function step(attempt, n) {
  const level = levelOf(attempt);
  const status = attempt.status ? ` ${attempt.status}` : '';
  return el('li', { key: `a${n}`, 'data-level': level },
    el('span', { class: 'pill', 'data-level': level }, icon({ ok: 'ok', off: 'off', down: 'bad' }[level]), `${attempt.class}${status}`),
    el('span', {}, el('b', {}, attempt.backend), el('span', { class: 'faint' }, ` ${attempt.model}, key ${attempt.key}`)),
    el('span', { class: 'num' }, milliseconds(attempt.ms)),
    attempt.cooldown ? el('span', { class: 'faint rests' }, icon('cooling'), `${scope({ ...attempt.cooldown, key: attempt.key, model: attempt.model })} rests ${duration(attempt.cooldown.ms / 1000)}`) : null);
}

/** Where the time went: the queue, each attempt, and the answer after its first byte. */
function waterfall(one) {
  const whole = one.duration_ms;
  if (!whole || !one.attempts.length) return null;
  const spans = [];
  if (one.queue_ms) spans.push({ name: 'queue', ms: one.queue_ms, tone: 'off' });
  for (const attempt of one.attempts) spans.push({ name: attempt.backend, ms: attempt.ms, tone: attempt.class === 'ok' ? 'accent' : 'bad' });
  const used = spans.reduce((sum, span) => sum + span.ms, 0);
  if (whole - used > 0) spans.push({ name: 'answer', ms: whole - used, tone: 'soft' });
  const words = spans.map((span) => `${span.name} ${milliseconds(span.ms)}`).join(', ');
  const bar = (span) => el('i', { class: `tone-${span.tone}`, css: { '--part': `${Math.max(0.6, (span.ms / whole) * 100)}` } });
  return el('div', { class: 'waterfall' }, el('div', { class: 'waterfall-bar', role: 'img', 'aria-label': `Where the time went: ${words}` }, spans.map(bar)),
    el('p', { class: 'faint', 'aria-hidden': 'true' }, spans.map((span) => el('span', { class: 'waterfall-name' }, el('span', { class: `swatch tone-${span.tone}` }), `${span.name} ${milliseconds(span.ms)}`))));
}
