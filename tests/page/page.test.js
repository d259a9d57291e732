// The dashboard in a real browser, before the real binary.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, before, test } from 'node:test';

import { chromium } from 'playwright-core';

import { FLAGS } from './browser.js';
import { freePort, startBackend, startBinary, startProxy, until } from './world.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const ADMIN_KEY = 'admin-key-0123456789abcdef';
/** What an attacker would call a model. */
const HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>\u202e${_HOME}';

let browser;
let sim;
const running = [];

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS });
  const port = await freePort();
  sim = { port, ...(await startBinary(['sim', '--listen', `127.0.0.1:${port}`], port, '/v1/models')) };
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one()));
});

after(async () => {
  await browser?.close();
  await sim?.stop();
});

/** The simulator behind two backends, of which `flaky` fails, and a scripted one for what has to change. */
async function start({ adminKey, more = '', cooldown = '10m' } = {}) {
  const scripted = await startBackend(() => ({ status: 500 }));
  const url = `http://127.0.0.1:${sim.port}/v1`;
  const yaml = `
backends:
  - {name: good, protocol: openai, url: "${url}", api_key: sk-simulated-good, max_concurrent: 50}
  - {name: flaky, protocol: openai, url: "${url}", api_key: sk-simulated-flaky}
  - {name: turning, protocol: openai, url: "http://127.0.0.1:${scripted.port}/v1", api_key: sk-simulated-turning}
  - {name: spare, protocol: openai, url: "${url}", api_key: sk-simulated-spare, enabled: false}
models:
  fine: {backend: good, model: sim-paced-20}
  falls: {routes: [{backend: flaky, model: sim-fail-503, priority: 1}, {backend: good, model: sim-small, priority: 2}]}
  turns: {routes: [{backend: turning, model: turning-1, priority: 1}, {backend: good, model: sim-small, priority: 2}]}
  broken: {backend: good, model: sim-fail-400}
  "*": {backend: good}
fallback: {cooldown: ${cooldown}, cooldown_max: ${cooldown}}
${more}`;
  const proxy = await startProxy(yaml, { adminKey });
  running.push(async () => {
    await proxy.stop();
    scripted.stop();
  });
  return { proxy, scripted, yaml };
}

/** A tab whose every word on the console and every request is noted. */
async function open(proxy, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  running.push(() => context.close());
  const page = await context.newPage();
  const noted = { console: [], requests: [] };
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && noted.console.push(`${message.text()} ${message.location().url}`));
  page.on('pageerror', (error) => noted.console.push(String(error)));
  page.on('request', (request) => noted.requests.push(request.url()));
  await page.goto(proxy.admin);
  return { page, noted };
}

/** Nothing was amiss on the console but what `allowed` matches, and nobody else was asked anything. */
function clean({ noted }, proxy, allowed = null) {
  assert.deepEqual(noted.console.filter((text) => !allowed?.test(text)), []);
  assert.deepEqual(noted.requests.filter((url) => !url.startsWith(`${proxy.admin}/`)), []);
}

const row = (page, name) => page.locator(`.backend[data-key="${name}"]`);
const requests = (page) => page.locator('.request');
const verdict = (page) => page.locator('#verdict-sentence');
const text = async (locator) => (await locator.textContent()) ?? '';
async function shows(what, locator, wanted) {
  let said = '';
  const look = async () => {
    said = await text(locator).catch(() => '');
    return wanted instanceof RegExp ? wanted.test(said) : said.includes(wanted);
  };
  await until(`${what}: ${wanted}`, look).catch((error) => assert.fail(`${error.message}; there is “${said}”`));
}

test('a stranger sees at once which backend fails, why, and until when', async () => {
  const { proxy } = await start();
  await proxy.chat('falls');
  const tab = await open(proxy);
  await shows('the sentence', verdict(tab.page), '1 of 4 backends is failing');
  await shows('the reason', tab.page.locator('#verdict-why'), /flaky answers 503, overloaded, tried again in \d+ min/);
  await shows('what clients notice', tab.page.locator('#verdict-effect'), 'Clients notice nothing');
  const flaky = row(tab.page, 'flaky');
  assert.equal(await flaky.getAttribute('data-level'), 'down');
  await shows('its word', flaky.locator('.pill'), 'cooling');
  await shows('its row', flaky.locator('.why'), /answers 503, overloaded, again in \d+/);
  assert.equal(await row(tab.page, 'good').getAttribute('data-level'), 'ok');
  await shows('the disabled one', row(tab.page, 'spare').locator('.pill'), 'disabled');
  // Words say what the drawings and colours say.
  const box = await verdict(tab.page).boundingBox();
  assert.ok(box.y < 300, 'without scrolling');
  await flaky.locator('.fold').click();
  await shows('what cools', flaky.locator('.details'), 'model sim-fail-503');
  await shows('the class', flaky.locator('.details'), 'overloaded');
  clean(tab, proxy);
});

test('a countdown runs by itself', async () => {
  const { proxy } = await start({ cooldown: '60s' });
  await proxy.chat('falls');
  const tab = await open(proxy);
  const left = () => text(row(tab.page, 'flaky').locator('.count'));
  await until('a countdown', async () => (await row(tab.page, 'flaky').locator('.count').count()) > 0);
  const first = await left();
  await until('another value', async () => (await left()) !== first);
  clean(tab, proxy);
});

test('reset, disable and enable do what they say, and what shows is what the program says', async () => {
  const { proxy, scripted } = await start();
  await proxy.chat('turns');
  const tab = await open(proxy);
  const turning = row(tab.page, 'turning');
  await shows('the failing one', turning.locator('.why'), 'answers 500');
  scripted.answers(() => ({}));
  await turning.getByRole('button', { name: 'Reset turning' }).click();
  await shows('what was done', tab.page.locator('#said'), 'turning is asked again by the next request');
  await until('that it is well', async () => (await turning.getAttribute('data-level')) === 'ok');
  await proxy.chat('turns');
  await shows('who answered', requests(tab.page).first().locator('.c-backend'), 'turning');
  await turning.getByRole('button', { name: 'Disable turning' }).click();
  await shows('its word', turning.locator('.pill'), 'disabled');
  await proxy.chat('turns');
  await shows('who answered', requests(tab.page).first().locator('.c-backend'), 'good');
  await turning.getByRole('button', { name: 'Enable turning' }).click();
  await until('that it is back', async () => (await turning.getAttribute('data-level')) === 'ok');
  assert.ok(await row(tab.page, 'spare').getByRole('button', { name: 'Enable spare' }).isDisabled(), 'the config disables it');
  clean(tab, proxy);
});

test('the last backend that is enabled has to be disabled twice', async () => {
  const { proxy } = await start();
  const tab = await open(proxy);
  for (const name of ['flaky', 'turning']) {
    await row(tab.page, name).getByRole('button', { name: `Disable ${name}` }).click();
    await shows(name, row(tab.page, name).locator('.pill'), 'disabled');
  }
  const good = row(tab.page, 'good');
  await good.getByRole('button', { name: 'Disable good' }).click();
  await shows('the question', good.locator('.buttons'), 'Disable the last one?');
  await good.locator('.danger').click();
  await shows('the sentence', verdict(tab.page), 'Every backend is disabled');
  clean(tab, proxy);
});

test('charts move, and pointer and keys read their values', async () => {
  const { proxy } = await start();
  const tab = await open(proxy);
  const bars = tab.page.locator('[data-chart="requests"] .fill.tone-accent');
  await until('empty charts', async () => (await bars.getAttribute('d').catch(() => null)) === '');
  await shows('an empty list', tab.page.locator('#requests'), 'No request yet');
  await Promise.all(Array.from({ length: 12 }, () => proxy.chat('fine')));
  await until('bars', async () => (await bars.getAttribute('d')) !== '');
  await until('a line of latencies', async () => (await tab.page.locator('[data-chart="latency"] .stroke.tone-accent').getAttribute('d')) !== '');
  const slider = tab.page.getByRole('slider', { name: /^Requests/ });
  await slider.focus();
  await tab.page.keyboard.press('End');
  await until('the time that is read', async () => /^\d\d:\d\d:\d\d: answered/.test(await slider.getAttribute('aria-valuetext')));
  const others = tab.page.getByRole('slider', { name: /^Tokens/ });
  assert.match(await others.getAttribute('aria-valuetext'), /^\d\d:\d\d:\d\d: /, 'one time is read in all');
  await tab.page.keyboard.press('Escape');
  assert.match(await slider.getAttribute('aria-valuetext'), /^last minute/);
  const { x, y, width } = await slider.boundingBox();
  await tab.page.mouse.move(x + width - 3, y + 50);
  await until('what is pointed at', async () => /^\d\d:/.test(await slider.getAttribute('aria-valuetext')));
  clean(tab, proxy);
});

test('a request unfolds to its trail, and what is unfolded stays while others come', async () => {
  const { proxy } = await start();
  await proxy.chat('falls');
  await proxy.chat('falls');
  const tab = await open(proxy);
  await until('two requests', async () => (await requests(tab.page).count()) === 2);
  const [second, first] = [requests(tab.page).nth(0), requests(tab.page).nth(1)];
  assert.equal(await first.locator('.mark').count(), 2);
  await first.locator('.request-row').click();
  await shows('the story', first.locator('.story'), /flaky was overloaded \(503\) after .* and rests for \d+ min; good answered after/);
  assert.equal(await first.locator('.trail li').count(), 2);
  await shows('the cooldown', first.locator('.trail li').first(), 'model sim-fail-503 rests');
  const id = await text(first.locator('dd code').first());
  assert.match(id, /^[0-9a-f-]{36}$/);
  await proxy.chat('fine');
  await shows('the new one', tab.page.locator('#requests-note'), '1 new, show');
  assert.equal(await requests(tab.page).count(), 2, 'nothing moves while it is read');
  await first.locator('.request-row').click();
  await second.locator('.request-row').click();
  await shows('who was passed over', second.locator('.story'), /flaky was left out, cooling for “overloaded” with \d+/);
  await tab.page.getByRole('button', { name: '1 new, show' }).click();
  await until('three requests', async () => (await requests(tab.page).count()) === 3);
  clean(tab, proxy);
});

test('requests are filtered by outcome and by text', async () => {
  const { proxy } = await start();
  await proxy.chat('falls');
  await proxy.chat('fine');
  await proxy.chat('broken');
  const tab = await open(proxy);
  await until('three requests', async () => (await requests(tab.page).count()) === 3);
  const choose = (name) => tab.page.locator('#filters').getByRole('button', { name }).click();
  const only = (alias) => until(`${alias} alone`, async () => (await requests(tab.page).count()) === 1 && (await text(requests(tab.page).first())).includes(alias));
  await choose('Failed');
  await only('broken');
  await choose('Fell back');
  await only('falls');
  await choose('All');
  await tab.page.locator('#search').fill('FINE');
  await only('fine');
  await tab.page.locator('#search').fill('nothing has this');
  await shows('an empty list', tab.page.locator('#requests'), 'Nothing among the last 3 has “nothing has this”');
  clean(tab, proxy);
});

test('a reload that is refused cannot be overlooked, and one that is not takes it away', async () => {
  const { proxy, yaml } = await start();
  const tab = await open(proxy);
  await shows('the config', tab.page.locator('#config'), '#1');
  proxy.rewrite(yaml.replace('models:', 'modles:').replace('protocol: openai', 'protocol: openia'));
  await tab.page.getByRole('button', { name: 'Reload config' }).click();
  const box = tab.page.locator('#broken');
  await until('the box', async () => (await box.isVisible()) && (await box.getAttribute('open')) !== null);
  const told = await text(tab.page.locator('#broken-text'));
  assert.match(told, /modles/);
  assert.match(told, /config\.yaml:\d+:\d+/, 'as check prints it');
  assert.match(told, /openia/);
  await shows('what was said', tab.page.locator('#said'), 'The config was not reloaded');
  proxy.rewrite(yaml);
  await tab.page.getByRole('button', { name: 'Reload config' }).click();
  await until('that it is gone', async () => box.isHidden());
  await shows('the config', tab.page.locator('#config'), '#2');
  clean(tab, proxy, /422/);
});

test('the admin key is asked for, kept for the tab alone and sent in one header', async () => {
  const { proxy } = await start({ adminKey: ADMIN_KEY });
  const tab = await open(proxy);
  const { page, noted } = tab;
  const door = page.locator('#door');
  await until('the form', () => door.isVisible());
  assert.ok(await page.locator('#all').isHidden());
  await page.getByLabel('Key', { exact: true }).fill('not-the-admin-key-0123');
  await page.getByRole('button', { name: 'Open' }).click();
  await shows('the refusal', page.locator('#door-fault'), 'not the key');
  await page.getByLabel('Key', { exact: true }).fill(ADMIN_KEY);
  const asked = page.waitForRequest((request) => request.url().endsWith('/api/status'));
  await page.keyboard.press('Enter');
  assert.equal((await (await asked).allHeaders()).authorization, `Bearer ${ADMIN_KEY}`);
  await shows('the page', verdict(page), 'healthy');
  assert.ok(noted.requests.every((url) => !url.includes(ADMIN_KEY)));
  assert.equal(await page.evaluate(() => Object.values(localStorage).join()), '');
  await page.reload();
  await shows('the page, after it was loaded again', verdict(page), 'healthy');
  await page.getByRole('button', { name: 'Forget key' }).click();
  await until('the form again', () => door.isVisible());
  clean(tab, proxy, /401/);
});

test('a listener that is gone is said to be, and found again', async () => {
  const { proxy } = await start();
  const tab = await open(proxy);
  await shows('the page', tab.page.locator('#link-word'), 'live');
  await proxy.end();
  await shows('the loss', tab.page.locator('#lost'), /No answer since \d+ s, trying again/);
  await shows('the word', tab.page.locator('#link-word'), 'no answer');
  assert.ok(await row(tab.page, 'good').isVisible(), 'what was known stays');
  await proxy.again();
  await shows('the word', tab.page.locator('#link-word'), 'live');
  assert.ok(await tab.page.locator('#lost').isHidden());
  await proxy.chat('fine');
  await until('requests of the new process', async () => (await requests(tab.page).count()) === 1);
  clean(tab, proxy, /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/);
});

test('what a client calls a model stays words', async () => {
  const { proxy } = await start();
  await proxy.chat(HOSTILE);
  const tab = await open(proxy);
  await until('the request', async () => (await requests(tab.page).count()) === 1);
  await requests(tab.page).first().locator('.request-row').click();
  await shows('its name', requests(tab.page).first(), '<img src=x onerror=');
  await tab.page.locator('#search').fill('<script>');
  await until('that it is found', async () => (await requests(tab.page).count()) === 1);
  assert.equal(await tab.page.evaluate(() => window.pwned), undefined);
  assert.equal(await tab.page.locator('#requests img, #requests script').count(), 0);
  clean(tab, proxy);
});

test('usage is told by model, backend and day', async () => {
  const { proxy } = await start();
  await proxy.chat('fine', false);
  const tab = await open(proxy);
  const usage = tab.page.locator('#usage');
  for (const [name, wanted] of [['Model', 'sim-paced-20'], ['Backend', 'good'], ['Day', /\d{4}-\d\d-\d\d/]]) {
    await tab.page.locator('#usage-by').getByRole('button', { name }).click();
    await shows(name, usage.locator('tbody'), wanted);
  }
  clean(tab, proxy);
});

test('the theme is the system’s until one is chosen, and that is kept', async () => {
  const { proxy } = await start();
  const tab = await open(proxy, { colorScheme: 'dark' });
  const back = () => tab.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await back();
  await tab.page.locator('#theme').click();
  const light = await back();
  assert.notEqual(light, dark);
  await tab.page.reload();
  assert.equal(await back(), light);
  clean(tab, proxy);
});

const BACKEND = { name: 'b', enabled: true, disabled_by: null, cooldowns: [], keys: ['b#1', 'b#2'], models: [{ name: 'x' }, { name: 'y' }], lately: { cells: [[9, 0]], failed_in_a_row: 0, last_failure: null } };
const cooling = (scope, more) => ({ scope, key: null, model: null, class: 'server', kind: null, seconds_left: 12, times: 1, probing: false, ...more });
const failing = (cells, row, more = {}) => ({ lately: { cells, failed_in_a_row: row, last_failure: { class: 'server', status: 500, at: 1000, ...more } } });

/** How a backend is, by what the status says of it: level, word, why. */
const STATES = [
  ['it answers', {}, ['ok', 'healthy', 'answers']],
  ['nobody asks it', { lately: { cells: [[0, 0]], failed_in_a_row: 0, last_failure: null } }, ['ok', 'idle', 'has not been asked lately']],
  ['the config disables it', { enabled: false, disabled_by: 'config' }, ['off', 'disabled', 'is disabled by the config']],
  ['an operator did', { enabled: false, disabled_by: 'operator' }, ['off', 'disabled', 'was disabled by an operator']],
  ['all of it cools', { cooldowns: [cooling('backend', { class: 'connect' })] }, ['down', 'cooling', 'cannot be reached']],
  ['one of two keys cools', { cooldowns: [cooling('key', { key: 'b#2', class: 'auth' })] }, ['partial', 'cooling', 'refuses its key (key b#2)']],
  ['both keys cool', { cooldowns: [cooling('key', { key: 'b#1', class: 'auth' }), cooling('key', { key: 'b#2', class: 'auth' })] }, ['down', 'cooling', 'refuses its key']],
  ['one of two models cools', { cooldowns: [cooling('backend_model', { model: 'x' })] }, ['partial', 'cooling', 'fails by itself (model x)']],
  ['a model cools, and a key for the other', { cooldowns: [cooling('backend_model', { model: 'x' }), cooling('key_model', { key: 'b#1', model: 'y', class: 'rate' })] }, ['partial', 'cooling', 'fails by itself (model x and key b#1 for y)']],
  ['both models cool', { cooldowns: [cooling('backend_model', { model: 'x' }), cooling('backend_model', { model: 'y', seconds_left: 3 })], ...failing([[0, 4]], 4) }, ['down', 'cooling', 'answers 500']],
  ['its cooldown is over', { cooldowns: [cooling('backend', { seconds_left: 0 })] }, ['down', 'due for a try', 'fails by itself']],
  ['it is being tried', { cooldowns: [cooling('backend', { seconds_left: 0, probing: true })] }, ['down', 'probing', 'fails by itself']],
  ['it cannot be spared, and fails', failing([[0, 7]], 7), ['down', 'failing', 'answers 500, 7 times in a row']],
  ['its last attempt failed', failing([[9, 1]], 1), ['partial', 'unsteady', 'answers 500 at times']],
  ['that is long ago', failing([[9, 0]], 1, { at: 1 }), ['ok', 'healthy', 'answers']],
  ['a fifth fails', failing([[8, 2]], 0), ['partial', 'unsteady', 'answers 500 at times: 20 % of its attempts fail']],
  ['one of many failed', failing([[99, 1]], 0), ['ok', 'healthy', 'answers']],
];

test('a state has one word, by what the status says', async () => {
  const { proxy } = await start();
  const tab = await open(proxy);
  const cases = STATES.map(([, more]) => ({ ...BACKEND, ...more }));
  const told = await tab.page.evaluate(async (backends) => {
    const { judge } = await import('/page/health.js');
    return backends.map((backend) => judge(backend, 1010)).map(({ level, word, why }) => [level, word, why]);
  }, cases);
  assert.deepEqual(told.map((own, n) => [STATES[n][0], own]), STATES.map(([what, , own]) => [what, own]));
  clean(tab, proxy);
});

for (const colorScheme of ['light', 'dark']) {
  for (const width of [360, 768, 1440]) {
    test(`all of it fits ${width} pixels and has no fault of accessibility, ${colorScheme}`, async () => {
      const { proxy, yaml } = await start({ more: 'rate_limit: {global: {rps: 100}}' });
      for (const model of ['falls', 'fine', 'broken', 'turns', HOSTILE.repeat(2)]) await proxy.chat(model);
      const tab = await open(proxy, { colorScheme, viewport: { width, height: 800 }, reducedMotion: 'reduce' });
      const { page } = tab;
      await until('the requests', async () => (await requests(page).count()) === 5);
      proxy.rewrite(yaml.replace('protocol: openai', 'protocol: openia'));
      await page.getByRole('button', { name: 'Reload config' }).click();
      await until('the errors', () => page.locator('#broken').isVisible());
      await row(page, 'flaky').locator('.fold').click();
      await requests(page).last().locator('.request-row').click();
      await page.locator('.details .story').waitFor();
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(beyond <= 0, 'no sideways scrolling');
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      const grave = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
      assert.deepEqual(grave.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)]), []);
      clean(tab, proxy, /422/);
    });
  }
}
