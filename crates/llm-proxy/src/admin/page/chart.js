// The four charts of the last quarter of an hour. They share one time: what is read in one is read in all.

import { at, el, show } from './dom.js';
import { clock, count, duration, milliseconds, percent, rate } from './words.js';

/** So many points of the series are drawn as one. */
const TOGETHER = 3;
const SHOWN = 60;
const HEIGHT = 104;
/** Room above the highest value, for its label. */
const HEAD = 16;

let groups = [];
/** Of the last minute, in which nothing is unfinished. */
let minute = null;
/** The group that is read; null: the last minute. */
let read = null;
const widths = new Map();

const perSecond = (name) => (group) => group[name] / group.seconds;

const CHARTS = [
  {
    id: 'requests',
    title: 'Requests',
    kind: 'bars',
    format: (value) => `${rate(value)} /s`,
    parts: [
      { name: 'answered', tone: 'accent', value: (group) => answered(group) / group.seconds },
      { name: 'rescued', tone: 'warn', value: perSecond('rescued'), hint: 'answered by another attempt after the first had failed' },
      { name: 'refused', tone: 'off', value: perSecond('refused'), hint: 'limits, keys, and requests that are wrong' },
      { name: 'failed', tone: 'bad', value: perSecond('errors') },
    ],
    big: (group) => `${rate(group.requests / group.seconds)}`,
    unit: '/s',
    small: (group) => (group.requests ? `${percent((answered(group) + group.rescued) / group.requests)} answered` : 'none'),
  },
  {
    id: 'tokens',
    title: 'Tokens',
    kind: 'bars',
    format: (value) => `${rate(value)} /s`,
    parts: [
      { name: 'output', tone: 'accent', value: perSecond('output_tokens') },
      { name: 'input', tone: 'soft', value: perSecond('input_tokens') },
    ],
    big: (group) => rate((group.input_tokens + group.output_tokens) / group.seconds),
    unit: '/s',
    small: (group) => `${rate(group.output_tokens / group.seconds)} /s of them output`,
  },
  {
    id: 'latency',
    title: 'First byte',
    kind: 'lines',
    format: milliseconds,
    parts: [
      { name: 'p50', tone: 'accent', value: (group) => group.p50_ms },
      { name: 'p90', tone: 'soft', value: (group) => group.p90_ms, hint: 'nine of ten are quicker' },
      { name: 'p99', tone: 'dashed', value: (group) => group.p99_ms, hint: 'all but one of a hundred are quicker' },
    ],
    big: (group) => milliseconds(group.p50_ms),
    unit: '',
    small: (group) => (group.p50_ms === null ? 'no answer' : 'half are quicker'),
  },
  {
    id: 'load',
    title: 'In flight',
    kind: 'steps',
    rest: 'now',
    format: count,
    least: 4,
    parts: [
      { name: 'in flight', tone: 'accent', value: (group) => group.in_flight },
      { name: 'in the queue', tone: 'warn', value: (group) => group.waiting },
    ],
    big: (group) => count(group.in_flight),
    unit: '',
    small: (group) => `${count(group.waiting)} in the queue`,
  },
];

const SUMS = ['requests', 'errors', 'refused', 'rescued', 'input_tokens', 'output_tokens'];
const MOST = ['in_flight', 'waiting'];
const LAST = ['p50_ms', 'p90_ms', 'p99_ms'];

/** Requests that the first attempt answered, and those that their client left. */
function answered(group) {
  return Math.max(0, group.requests - group.errors - group.refused - group.rescued);
}

/** Takes the lists of /api/series. */
export function take(series) {
  const points = series.requests.length;
  const first = series.ended - (points - 1);
  const byNumber = new Map();
  for (let n = 0; n < points; n += 1) {
    const number = Math.floor((first + n) / TOGETHER);
    byNumber.set(number, [...(byNumber.get(number) ?? []), n]);
  }
  const step = series.step_seconds;
  const time = (n) => (series.now - (points - 1 - n) * step) * 1000;
  groups = [...byNumber].map(([number, own]) => ({
    ...together(series, own), number, seconds: TOGETHER * step, time: time(own[0]), open: own.at(-1) === points - 1,
  }));
  groups = groups.slice(-SHOWN - 1);
  const lately = Array.from({ length: Math.min(12, points - 1) }, (_, n) => points - 2 - n).reverse();
  const own = lately.length ? lately : [points - 1];
  minute = { ...together(series, own), seconds: own.length * step };
  for (const name of LAST) minute[name] = series[name][points - 1];
  // Not of the last minute, but of now.
  Object.assign(minute, series.current);
  draw();
}

function together(series, own) {
  const sum = (name) => own.reduce((all, n) => all + series[name][n], 0);
  const most = (name) => Math.max(...own.map((n) => series[name][n]));
  const last = (name) => own.map((n) => series[name][n]).filter((value) => value !== null).at(-1) ?? null;
  return Object.fromEntries([
    ...SUMS.map((name) => [name, sum(name)]),
    ...MOST.map((name) => [name, most(name)]),
    ...LAST.map((name) => [name, last(name)]),
  ]);
}

/** Requests of the whole window, for the sentence in the head. */
export function window15() {
  const sum = (name) => groups.reduce((all, group) => all + group[name], 0);
  return { requests: sum('requests'), errors: sum('errors'), rescued: sum('rescued') };
}

/** Draws all four. */
export function draw() {
  show(at('charts'), CHARTS.map(card));
  for (const chart of CHARTS) watch(chart.id);
}

function group() {
  return read === null ? minute : groups.find((own) => own.number === read) ?? minute;
}

function card(chart) {
  const own = group();
  const when = own === minute ? chart.rest ?? 'last minute' : clock(own.time);
  const reading = (part) => {
    const value = part.value(own);
    return value === null ? '–' : chart.format(value);
  };
  const legend = chart.parts.map((part) => el('li', { key: part.name, title: part.hint ?? null },
    el('span', { class: `swatch swatch-${chart.kind} tone-${part.tone}`, 'aria-hidden': 'true' }), el('span', {}, part.name), el('b', {}, reading(part))));
  const words = `${when}: ${chart.parts.map((part) => `${part.name} ${reading(part)}`).join(', ')}`;
  const slider = {
    class: 'plot', role: 'slider', tabindex: '0', 'data-chart': chart.id, 'aria-label': `${chart.title}, last 15 minutes`,
    'aria-valuemin': 0, 'aria-valuemax': Math.max(groups.length - 1, 0),
    'aria-valuenow': Math.max(0, groups.indexOf(own) < 0 ? groups.length - 1 : groups.indexOf(own)), 'aria-valuetext': words,
  };
  return el('article', { class: 'card chart', key: chart.id },
    el('div', { class: 'chart-head' }, el('h2', {}, chart.title), el('span', { class: 'faint' }, when)),
    el('p', { class: 'chart-big' }, el('b', {}, chart.big(own)), el('span', { class: 'unit' }, chart.unit), el('span', { class: 'faint' }, chart.small(own))),
    el('div', slider, plot(chart)),
    el('div', { class: 'axis', 'aria-hidden': 'true' }, el('span', {}, '15 min ago'), el('span', {}, '10'), el('span', {}, '5'), el('span', {}, 'now')),
    el('ul', { class: 'legend' }, legend));
}

function plot(chart) {
  const width = widths.get(chart.id) ?? 300;
  const x = (number) => width * (1 - (newest() - number + 1) / (SHOWN + 1));
  const step = width / (SHOWN + 1);
  const values = groups.map((own) => chart.parts.map((part) => part.value(own)));
  const top = (own) => (chart.kind === 'bars' ? own.reduce((all, value) => all + value, 0) : Math.max(0, ...own.filter((value) => value !== null)));
  const highest = nice(Math.max(chart.least ?? 0, ...values.map(top)));
  const y = (value) => HEIGHT - (value / highest) * (HEIGHT - HEAD);
  const nothing = groups.every((all) => all.requests === 0 && all.in_flight === 0);
  const marks = nothing ? [] : [highest, highest / 2];
  const grid = marks.map((value) => el('line', { class: 'grid', x1: 0, x2: width, y1: round(y(value)), y2: round(y(value)) }));
  const labels = marks.map((value) => el('text', { class: 'mark-label', x: 0, y: round(y(value)) - 4 }, chart.format(value)));
  const drawing = { bars, lines, steps }[chart.kind](chart, { x, y, step, values });
  const own = group();
  const cross = own === minute ? null : el('rect', { class: 'cross', x: round(x(own.number)), width: round(step), y: 0, height: HEIGHT });
  const note = nothing ? el('text', { class: 'nothing', x: width / 2, y: HEIGHT / 2 + 14 }, 'nothing in this time') : null;
  return el('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, 'aria-hidden': 'true' },
    cross, grid, el('line', { class: 'floor', x1: 0, x2: width, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }), drawing, labels, note);
}

function bars(chart, { x, y, step, values }) {
  const wide = Math.max(1, step - 1.2);
  return chart.parts.map((part, n) => {
    const one = (own, at) => {
      const below = values[at].slice(0, n).reduce((all, value) => all + value, 0);
      const height = y(below) - y(below + values[at][n]);
      if (height <= 0) return '';
      return `M${round(x(own.number) + 0.6)} ${round(y(below))}v-${round(height)}h${round(wide)}v${round(height)}z`;
    };
    return el('path', { class: `fill tone-${part.tone}`, d: groups.map(one).join('') });
  });
}

function lines(chart, { x, y, step, values }) {
  return chart.parts.map((part, n) => {
    let pen = 'M';
    const one = (own, at) => {
      const value = values[at][n];
      if (value === null) {
        pen = 'M';
        return '';
      }
      const point = `${pen}${round(x(own.number) + step / 2)} ${round(y(value))}`;
      const alone = pen === 'M' && (values[at + 1]?.[n] ?? null) === null;
      pen = 'L';
      return alone ? `${point}h0.01` : point;
    };
    return el('path', { class: `stroke tone-${part.tone}`, d: groups.map(one).join('') });
  }).reverse();
}

function steps(chart, { x, y, step, values }) {
  return chart.parts.map((part, n) => {
    const line = groups.map((own, at) => `${at ? 'L' : 'M'}${round(x(own.number))} ${round(y(values[at][n]))}h${round(step)}`).join('');
    if (!groups.length || values.every((own) => own[n] === 0)) return null;
    const [from, to] = [round(x(groups[0].number)), round(x(groups.at(-1).number) + step)];
    return el('g', {}, el('path', { class: `area tone-${part.tone}`, d: `${line}L${to} ${HEIGHT}H${from}z` }), el('path', { class: `stroke tone-${part.tone}`, d: line }));
  });
}

const newest = () => groups.at(-1)?.number ?? 0;
const round = (number) => Math.round(number * 10) / 10;

/** The next of 1, 2, 4, 5, 8 and their tenfold. */
function nice(value) {
  if (value <= 0) return 1;
  const ten = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map((step) => step * ten).find((step) => step >= value * 0.999);
}

const observed = new WeakSet();
const sizes = new ResizeObserver((entries) => {
  let changed = false;
  for (const { target, contentRect } of entries) {
    const width = Math.floor(contentRect.width);
    changed ||= widths.get(target.dataset.chart) !== width;
    widths.set(target.dataset.chart, width);
  }
  if (changed) draw();
});

function watch(id) {
  const plot = document.querySelector(`[data-chart="${id}"]`);
  if (observed.has(plot)) return;
  observed.add(plot);
  sizes.observe(plot);
}

function readAt(number) {
  if (number === read) return;
  read = number;
  draw();
}

function pointed(event) {
  const plot = event.target.closest?.('.plot');
  if (!plot) return null;
  const { left, width } = plot.getBoundingClientRect();
  const back = Math.floor((1 - (event.clientX - left) / width) * (SHOWN + 1));
  const number = newest() - Math.max(0, back);
  return groups.some((own) => own.number === number) ? number : null;
}

/** Pointers and keys read values. */
export function listen() {
  const parent = at('charts');
  parent.addEventListener('pointermove', (event) => readAt(pointed(event)));
  parent.addEventListener('pointerdown', (event) => readAt(pointed(event)));
  parent.addEventListener('pointerleave', (event) => event.pointerType === 'mouse' && readAt(null));
  parent.addEventListener('focusout', () => readAt(null));
  parent.addEventListener('keydown', (event) => {
    if (!event.target.closest?.('.plot') || !groups.length) return;
    const here = groups.findIndex((own) => own.number === read);
    const from = here < 0 ? groups.length : here;
    const to = { ArrowLeft: from - 1, ArrowDown: from - 1, ArrowRight: from + 1, ArrowUp: from + 1, Home: 0, End: groups.length - 1, PageDown: from - 10, PageUp: from + 10 }[event.key];
    if (event.key === 'Escape') readAt(null);
    if (to === undefined) return;
    event.preventDefault();
    readAt(groups[Math.min(groups.length - 1, Math.max(0, to))].number);
  });
}

/** For how long there is anything to draw, in words. */
export function covered() {
  const first = groups[0];
  return first ? duration((Date.now() - first.time) / 1000) : '';
}
