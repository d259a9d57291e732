// Which client is tested against which backend: `tests/sdk/switch.json` says whether dialects are converted.

import { readFileSync } from 'node:fs';

const { conversion } = JSON.parse(readFileSync(new URL('../switch.json', import.meta.url)));

/** The variable is for trying out what the file does not promise yet. */
const CONVERSION = conversion || Boolean(process.env.LLM_PROXY_CONVERSION);

const DIALECTS = ['chat', 'messages', 'responses'];

/** The backends that a client of this dialect is tested against: its own, and with conversion all. */
export const backends = (dialect) => (CONVERSION ? DIALECTS : [dialect]);

/** A task for the simulated agent's model, and what it says of the results. */
export const TASK =
  'Please call the tool weather with {"city":"Zürich"} and call the tool weather with {"city":"Ürümqi"} .';
export const CITIES = [{ city: 'Zürich' }, { city: 'Ürümqi' }];
export const DONE = 'Done. The tools said: Zürich: rain | Ürümqi: rain';
export const NOTHING = 'There is nothing to do.';
export const REMEMBERS = 'I remember what I thought.';
export const SHOWN = 'I was shown image/png of 70 bytes.';
export const TOKENS = 'token '.repeat(20);

/** What the tool answers. */
export const weather = ({ city }) => `${city}: rain`;
