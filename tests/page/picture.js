// Pictures of the dashboard, of a simulated office that has been at work for a while: see `scripts/picture`.

import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';

import { chromium } from 'playwright-core';

import { FLAGS } from './browser.js';
import { startOffice } from './office.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MINUTES = Number(process.env.MINUTES ?? 15);
const WIDTHS = [360, 768, 1440];

const office = await startOffice();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });

async function take(path, options, whole) {
  const page = await browser.newPage({ reducedMotion: 'reduce', ...options });
  await page.goto(office.proxy.admin);
  await page.locator('.request').first().waitFor();
  await page.locator('#usage table, #usage .empty').first().waitFor();
  await page.screenshot({ path, fullPage: whole });
  await page.close();
  // Fewer colours are not seen, and a third of the size.
  spawnSync('pngquant', ['--force', '--strip', '--speed', '1', '--output', path, '128', path]);
  console.log(`${path}: ${Math.ceil(statSync(path).size / 1024)} KiB`);
}

try {
  console.log(`${office.proxy.admin} for ${MINUTES} minutes`);
  await pause(MINUTES * 60_000);
  mkdirSync(`${ROOT}target/page`, { recursive: true });
  for (const colorScheme of ['light', 'dark']) {
    const name = colorScheme === 'light' ? 'dashboard' : 'dashboard-dark';
    await take(`${ROOT}docs/${name}.png`, { colorScheme, viewport: { width: 1280, height: 960 }, deviceScaleFactor: 1.5 }, false);
    for (const width of WIDTHS) {
      await take(`${ROOT}target/page/${colorScheme}-${width}.png`, { colorScheme, viewport: { width, height: 900 } }, true);
    }
  }
} finally {
  await browser.close();
  await office.stop();
}
