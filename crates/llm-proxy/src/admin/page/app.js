// The page's clock and ears: asks the listener again and again, draws what it said, and does what is clicked.

import { change, get, key, KeyWanted, post, Refused } from './api.js';
import * as backends from './backends.js';
import * as charts from './chart.js';
import { at, icon, show } from './dom.js';
import * as head from './head.js';
import * as requests from './requests.js';
import * as usage from './usage.js';
import { duration } from './words.js';

/** How often it asks, in milliseconds; of usage less often. */
const EVERY = 2000;
const USAGE_EVERY = 15_000;
/** How long it waits after questions without an answer: the first, and at most. */
const RETRY = [1000, 8000];

/** What was told last, and when. */
let status = null;
let toldAt = 0;
let usageAt = 0;
/** Questions in a row without an answer. */
let lost = 0;
let timer = null;
/** Each round of questions has a number: a late answer of an earlier one is of no use. */
let round = 0;

const age = () => (performance.now() - toldAt) / 1000;

async function ask() {
  clearTimeout(timer);
  round += 1;
  const own = round;
  try {
    const [told, series, ended] = await Promise.all([get('/api/status'), get('/api/series'), get(requests.path())]);
    if (own !== round) return;
    heard(told, series, ended);
    await askUsage();
  } catch (error) {
    if (own !== round) return;
    if (error instanceof KeyWanted) return wanted();
    unheard();
  }
  const wait = lost ? Math.min(RETRY[0] * 2 ** (lost - 1), RETRY[1]) : EVERY;
  if (own === round && !document.hidden) timer = setTimeout(ask, wait);
}

function heard(told, series, ended) {
  status = told;
  toldAt = performance.now();
  lost = 0;
  at('door').hidden = true;
  at('all').hidden = false;
  at('leave').hidden = !key.get();
  // A program that began anew has numbers of its own: they are asked for at once.
  if (!requests.take(ended)) setTimeout(ask, 0);
  charts.take(series);
  draw();
}

async function askUsage() {
  if (performance.now() - usageAt < USAGE_EVERY && usageAt) return;
  usageAt = performance.now();
  try {
    usage.take(await get(usage.path()));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    // What is not there now will not be there before the program is another one.
    if (error.status === 404) usageAt = Infinity;
    usage.missing(error.status === 404 ? 'This version of the program counts no usage for this page. The access log has every request’s tokens.' : error.message);
  }
  usage.draw();
}

function unheard() {
  lost += 1;
  link();
}

function wanted() {
  const had = key.get();
  key.forget();
  at('all').hidden = true;
  at('door').hidden = false;
  at('leave').hidden = true;
  at('door-fault').textContent = had ? 'This is not the key of the config.' : '';
  at('link').dataset.level = 'wait';
  at('link-word').textContent = 'key wanted';
  at('lost').hidden = true;
  at('reload').hidden = true;
  at('door-key').focus();
}

function draw() {
  if (!status) return;
  at('reload').hidden = false;
  link();
  head.draw(status, age());
  backends.draw(status, age());
  requests.draw();
  usage.draw();
  usage.drawLimits(status);
}

/** Whether the listener answers. What it said last stays to be read, marked as old. */
function link() {
  const box = at('lost');
  const is = lost > 0;
  document.body.classList.toggle('stale', is);
  at('link').dataset.level = is ? 'down' : 'ok';
  at('link-word').textContent = is ? 'no answer' : 'live';
  box.hidden = !is;
  if (!is) return;
  const since = status ? `No answer since ${duration(age())}` : 'No answer from the admin listener';
  show(box, icon('warn'), `${since}, trying again. ${status ? 'What is shown is how it was then.' : ''}`);
}

let saying = null;

/** A short word about what was done. */
function say(text, level = 'ok') {
  const box = at('said');
  box.dataset.level = level;
  show(box, icon(level === 'ok' ? 'ok' : 'bad'), text);
  box.classList.add('shown');
  clearTimeout(saying);
  saying = setTimeout(() => box.classList.remove('shown'), 6000);
}

const DONE = { enable: 'takes requests again', disable: 'takes no new requests', reset: 'is asked again by the next request: what was held against it is forgotten' };

async function turn(name, what) {
  if (what === 'disable' && !backends.mayDisable(status, name)) return draw();
  backends.begin(name, what);
  draw();
  try {
    await change(name, what);
    say(`${name} ${DONE[what]}`);
  } catch (error) {
    failed(error, `${name} is as it was`);
  }
  // Told by the listener, not assumed here.
  await ask();
  backends.end(name);
  return draw();
}

async function reload() {
  const button = at('reload');
  button.disabled = true;
  button.textContent = 'Reloading…';
  try {
    const { generation } = await post('/api/reload');
    say(`Config #${generation} is in force`);
  } catch (error) {
    failed(error, 'The config was not reloaded');
  }
  button.disabled = false;
  button.textContent = 'Reload config';
  await ask();
}

function failed(error, what) {
  if (error instanceof KeyWanted) return wanted();
  const why = error instanceof Refused ? error.message.split('\n')[0] : 'no answer';
  return say(`${what}: ${why}`, 'down');
}

const THEMES = { auto: ['auto', 'Theme: as the system'], light: ['sun', 'Theme: light'], dark: ['moon', 'Theme: dark'] };
const themeNow = () => document.documentElement.dataset.theme ?? 'auto';

function theme(next) {
  if (next) {
    if (next === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem('theme', next);
    } catch {
      // No storage: it holds until the page is left.
    }
  }
  const [drawing, label] = THEMES[themeNow()];
  at('theme').setAttribute('aria-label', label);
  at('theme').title = label;
  show(at('theme'), icon(drawing));
}

const DO = {
  reload,
  enable: ({ name }) => turn(name, 'enable'),
  disable: ({ name }) => turn(name, 'disable'),
  reset: ({ name }) => turn(name, 'reset'),
  fold: ({ name }) => redraw(() => backends.toggle(name)),
  unfold: ({ name }) => redraw(() => backends.toggle(name, true)),
  request: ({ name }) => redraw(() => requests.toggle(Number(name))),
  unhold: () => redraw(requests.unhold),
  more: () => redraw(requests.more),
  filter: ({ name }) => redraw(() => requests.choose(name)),
  by: ({ name }) => chosen('by', name),
  days: ({ name }) => chosen('days', name),
  theme: () => theme({ auto: 'light', light: 'dark', dark: 'auto' }[themeNow()]),
  copy: async ({ text }) => {
    try {
      await navigator.clipboard.writeText(text);
      say('Copied');
    } catch {
      say('The browser does not let this page copy', 'down');
    }
  },
  leave: () => {
    key.forget();
    location.reload();
  },
};

function redraw(step) {
  step();
  draw();
}

function chosen(what, value) {
  usage.choose(what, value);
  usageAt = usageAt === Infinity ? Infinity : 0;
  usage.draw();
  askUsage().catch(() => undefined);
}

document.addEventListener('click', (event) => {
  const target = event.target.closest?.('[data-do]');
  if (!target || target.disabled) return;
  const { do: what, name, text } = target.dataset;
  DO[what]?.({ name, text });
});

const list = at('requests');
list.addEventListener('pointerenter', (event) => event.pointerType === 'mouse' && requests.point(true));
list.addEventListener('pointerleave', () => requests.point(false) && draw());

at('search').addEventListener('input', (event) => redraw(() => requests.seek(event.target.value)));

at('door').addEventListener('submit', (event) => {
  event.preventDefault();
  key.set(at('door-key').value);
  at('door-key').value = '';
  ask();
});

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) ask();
});

// Countdowns and "since" go on between two answers.
setInterval(() => {
  if (document.hidden) return;
  if (lost) link();
  if (status) {
    head.draw(status, age());
    backends.draw(status, age());
  }
}, 1000);

theme();
charts.listen();
ask();
