// How a backend is, and how all are together, from what /api/status says. No elements in here: only words and levels.

import { deed, duration, list, percent, plural, scope } from './words.js';

/** So many failures in a row, and it is failing even where nothing cools: it is the only one, or nobody cools it. */
const IN_A_ROW = 3;
/** A lone failure is not worth a word after so many seconds. */
const FORGOTTEN = 300;
/** Of so many attempts, such a share of failures is worth a word. */
const FEW = 5;
const MANY_FAIL = 0.1;

/** Attempts of the last quarter of an hour. */
export function tally(backend) {
  let answered = 0;
  let failed = 0;
  for (const [good, bad] of backend.lately?.cells ?? []) {
    answered += good;
    failed += bad;
  }
  const all = answered + failed;
  return { answered, failed, all, share: all ? answered / all : null };
}

/**
 * `level`: ok, partial (some of it is out), down, off. `word` and `icon` say it; `why` is what follows the backend's
 * name; `left` is in how many seconds it is asked again, null where that has no sense.
 */
export function judge(backend, now) {
  if (!backend.enabled) return off(backend);
  const cooling = backend.cooldowns ?? [];
  if (cooling.length > 0) return out(backend, cooling);
  const loss = backend.lately?.last_failure;
  const row = backend.lately?.failed_in_a_row ?? 0;
  if (loss && row >= IN_A_ROW) {
    const why = `${deed(loss)}, ${row} times in a row`;
    return { level: 'down', word: 'failing', icon: 'bad', why, left: null, loss };
  }
  const { failed, all, share } = tally(backend);
  if (loss && row > 0 && now - loss.at < FORGOTTEN) {
    return { level: 'partial', word: 'unsteady', icon: 'warn', why: `${deed(loss)} at times`, left: null, loss };
  }
  if (loss && all >= FEW && failed / all >= MANY_FAIL) {
    const why = `${deed(loss)} at times: ${percent(1 - share)} of its attempts fail`;
    return { level: 'partial', word: 'unsteady', icon: 'warn', why, left: null, loss };
  }
  if (all === 0) return { level: 'ok', word: 'idle', icon: 'idle', why: 'has not been asked lately', left: null };
  return { level: 'ok', word: 'healthy', icon: 'ok', why: 'answers', left: null };
}

function off(backend) {
  const byConfig = backend.disabled_by === 'config';
  const why = byConfig ? 'is disabled by the config' : 'was disabled by an operator';
  return { level: 'off', word: 'disabled', icon: 'off', why, left: null, byConfig };
}

function out(backend, cooling) {
  const { whole, parts } = blocked(backend, cooling);
  const first = [...cooling].sort((a, b) => (b.probing ? 1 : 0) - (a.probing ? 1 : 0) || a.seconds_left - b.seconds_left)[0];
  const loss = backend.lately?.last_failure;
  // A cooldown has no status; the last failure has, if it is of the same kind.
  const status = loss && loss.class === first.class ? loss.status : null;
  const does = deed({ ...first, status });
  const about = whole ? '' : ` (${parts})`;
  const state = first.probing ? 'probing' : first.seconds_left > 0 ? 'cooling' : 'due';
  const word = { probing: 'probing', cooling: 'cooling', due: 'due for a try' }[state];
  const level = whole ? 'down' : 'partial';
  const icon = state === 'due' ? 'probing' : state;
  return { level, word, icon, why: `${does}${about}`, left: state === 'cooling' ? first.seconds_left : null, state, first };
}

/** Whether everything that a backend has is out; else what is. */
function blocked(backend, cooling) {
  const keys = backend.keys?.length ? backend.keys : [null];
  const models = backend.models?.length ? backend.models.map((model) => model.name) : [null];
  const covers = (view, key, model) => {
    if (view.scope === 'backend') return true;
    const ofKey = view.scope === 'backend_model' || key === null || view.key === key;
    const ofModel = view.scope === 'key' || view.model === model;
    return ofKey && ofModel;
  };
  const free = keys.some((key) => models.some((model) => !cooling.some((view) => covers(view, key, model))));
  return { whole: !free, parts: list([...new Set(cooling.map(scope))].slice(0, 2)) };
}

/** When it is asked again, in words that end a sentence. */
export function again(verdict, left) {
  if (verdict.state === 'probing') return 'is being tried now';
  if (verdict.state === 'due') return 'the next request tries it';
  return left === null || left === undefined ? '' : `tried again in ${duration(left)}`;
}

/** How all are: a level, a sentence, and those that it is about. */
export function overall(status, verdicts) {
  const all = status.backends.length;
  const of = (level) => status.backends.filter((_, n) => verdicts[n].level === level);
  const [down, partial, disabled] = [of('down'), of('partial'), of('off')];
  if (status.phase !== 'serving') {
    return { level: 'partial', icon: 'warn', sentence: 'This process is ending: it finishes what it has begun', about: down };
  }
  if (all === disabled.length) {
    return { level: 'down', icon: 'bad', sentence: 'Every backend is disabled: no request can be answered', about: [] };
  }
  const enabled = all - disabled.length;
  if (down.length > 0) {
    const everything = down.length === enabled;
    const verb = down.length === 1 ? 'is' : 'are';
    const limited = down.every((backend) => ['rate', 'quota'].includes(verdicts[status.backends.indexOf(backend)].first?.class));
    const what = limited ? 'used up' : 'failing';
    const who = enabled === 1 ? `The only backend is ${what}` : everything
      ? `All ${enabled} backends are ${what}`
      : `${down.length} of ${plural(all, 'backend')} ${verb} ${what}`;
    return { level: everything ? 'down' : 'failing', icon: 'bad', sentence: who, about: [...down, ...partial] };
  }
  if (partial.length > 0) {
    const verb = partial.length === 1 ? 'is' : 'are';
    const sentence = `${partial.length} of ${plural(all, 'backend')} ${verb} not quite well`;
    return { level: 'partial', icon: 'warn', sentence, about: partial };
  }
  const well = enabled === 1 ? 'The backend is healthy' : `All ${enabled} backends are healthy`;
  const sentence = disabled.length ? `${well}, ${disabled.length} disabled` : well;
  return { level: 'ok', icon: 'ok', sentence, about: [] };
}
