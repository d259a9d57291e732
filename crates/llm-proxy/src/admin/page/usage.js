// Usage and cost by key, model, backend or day; limits and budgets with what is left of them.

import { at, el, icon, show } from './dom.js';
import { count, dollars, duration, moment, percent, plural } from './words.js';

const BY = [['key', 'Key'], ['model', 'Model'], ['backend', 'Backend'], ['day', 'Day']];
const DAYS = [[1, 'Today'], [7, '7 days'], [30, '30 days']];

let by = 'key';
let days = 1;
/** What was told, or why not: null before the first answer. */
let told = null;
let absent = null;

export const path = () => `/api/usage?by=${by}&days=${days}`;

export function choose(what, value) {
  if (what === 'by') by = value;
  else days = Number(value);
}

/** Takes an answer, if it is the one that was asked for last. */
export function take(usage) {
  if (usage.by && usage.by !== by) return;
  told = usage;
  absent = null;
}

export function missing(why) {
  told = null;
  absent = why;
}

export function draw() {
  show(at('usage-by'), BY.map(([name, label]) => tab('by', name, label, name === by)));
  show(at('usage-days'), DAYS.map(([number, label]) => tab('days', String(number), label, number === days)));
  at('usage-note').textContent = told ? note(told) : '';
  if (absent) return show(at('usage'), empty('Not available', absent));
  if (!told) return undefined;
  const rows = told.rows ?? [];
  return show(at('usage'), trouble(told.ledger), rows.length ? table(rows, told.total) : empty('Nothing was used in this time.', ''), source(told));
}

function tab(what, name, label, pressed) {
  return el('button', { type: 'button', key: name, 'data-do': what, 'data-name': name, 'aria-pressed': String(pressed) }, label);
}

function empty(what, why) {
  return el('div', { class: 'empty', key: 'empty' }, el('p', {}, what), why ? el('p', { class: 'faint' }, why) : null);
}

function note({ since }) {
  return since ? `since ${moment(Date.parse(since))}` : '';
}

function source({ source: from, total }) {
  const unpriced = total?.unpriced ? `${plural(total.unpriced, 'request')} had no price and cost nothing here. ` : '';
  const memory = from === 'memory' ? ['Counted in memory since the start; with ', el('code', {}, 'ledger'), ' in the config it is kept.'] : null;
  return unpriced || memory ? el('p', { class: 'foot faint', key: 'foot' }, unpriced, memory) : null;
}

function trouble(ledger) {
  if (!ledger) return null;
  if (ledger.error) return el('p', { class: 'warned', key: 'trouble', 'data-level': 'down' }, icon('bad'), `The ledger cannot be written: ${ledger.error}`);
  if (ledger.dropped) return el('p', { class: 'warned', key: 'trouble' }, icon('warn'), `${count(ledger.dropped)} records were lost: the ledger was too slow.`);
  return null;
}

const COLUMNS = [
  ['Requests', (row) => count(row.requests)],
  ['Errors', (row) => (row.errors ? `${count(row.errors)} (${percent(row.errors / row.requests)})` : '0')],
  ['Input', (row) => count(row.input_tokens)],
  ['From cache', (row) => (row.input_tokens ? percent(row.cached_tokens / row.input_tokens) : '–')],
  ['Output', (row) => count(row.output_tokens)],
  ['Cost', (row) => dollars(row.cost_usd)],
];

function table(rows, total) {
  const weight = (row) => row.cost_usd ?? 0;
  const costs = rows.some((row) => weight(row) > 0);
  const size = (row) => (costs ? weight(row) : row.requests);
  const most = Math.max(...rows.map(size), 0) || 1;
  const cells = (row) => COLUMNS.map(([name, value]) => el('td', { class: 'num', 'data-name': name }, value(row)));
  const line = (row, n) => el('tr', { key: `${n}` },
    el('th', { scope: 'row' }, el('span', { class: 'bar', css: { '--part': `${(size(row) / most) * 100}%` }, 'aria-hidden': 'true' }), el('span', { class: 'bar-name' }, row.name ?? '–')), cells(row));
  const heads = [el('th', { scope: 'col' }, BY.find(([name]) => name === by)[1]), ...COLUMNS.map(([name]) => el('th', { scope: 'col', class: 'num' }, name))];
  return el('table', { key: 'table', class: 'usage' }, el('thead', {}, el('tr', {}, heads)), el('tbody', {}, rows.map(line)),
    total ? el('tfoot', {}, el('tr', {}, el('th', { scope: 'row' }, 'In all'), cells(total))) : null);
}

/** What is limited: a box for each holder of limits, with a bar for each of them. */
export function drawLimits(status) {
  const { limits, concurrency } = status;
  const holders = new Map();
  const add = (whose, bar) => holders.set(whose, [...(holders.get(whose) ?? []), bar]);
  if (concurrency?.max) add('Everybody', gauge('at once', concurrency.in_service, concurrency.max, queue(concurrency)));
  for (const [whose, own] of limited(limits)) {
    for (const unit of ['requests', 'tokens']) {
      const standing = own?.[unit];
      if (standing) add(whose, gauge(unit, Math.max(0, standing.limit - standing.remaining), standing.limit, rest(standing)));
    }
  }
  for (const [name, own] of Object.entries(limits?.budgets ?? {})) add(`Key ${name}`, budget(own));
  at('limits-block').hidden = holders.size === 0;
  show(at('limits'), [...holders].map(([whose, bars]) => el('section', { class: 'holder', key: whose }, el('h3', {}, whose), bars)));
}

function limited(limits) {
  if (!limits) return [];
  const all = (kind, own) => Object.entries(own ?? {}).map(([name, buckets]) => [`${kind} ${name}`, buckets]);
  return [...(limits.global ? [['Everybody', limits.global]] : []), ...all('Key', limits.keys), ...all('Model', limits.models)];
}

const rest = ({ seconds_to_reset: left }) => (left > 0.5 ? `all free again in ${duration(left)}` : 'all free');

function queue({ waiting, refused_full: full, refused_timeout: late }) {
  const refused = (full ?? 0) + (late ?? 0);
  return `${count(waiting)} in the queue${refused ? `, ${count(refused)} turned away since the start` : ''}`;
}

function budget(own) {
  const when = `a new one ${moment(Date.parse(own.period_end))}`;
  const held = own.reserved_usd ? `${dollars(own.reserved_usd)} held for requests in flight, ` : '';
  const note = own.spent_usd >= own.usd ? `used up, ${when}` : `${held}${when}`;
  return gauge(`of the ${own.per}`, own.spent_usd, own.usd, note, dollars);
}

function gauge(what, used, limit, note, format = count) {
  const part = limit ? Math.min(1, used / limit) : 0;
  const level = part >= 1 ? 'down' : part >= 0.8 ? 'partial' : 'ok';
  return el('div', { class: 'gauge', key: what, 'data-level': level, title: note },
    el('span', { class: 'faint' }, what),
    el('div', { class: 'meter', css: { '--part': `${part * 100}%` }, 'aria-hidden': 'true' }),
    el('span', { class: 'num' }, level === 'ok' ? null : icon('warn'), `${format(used)} of ${format(limit)}`, el('span', { class: 'sr' }, `, ${note}`)));
}
