// Numbers, times and classes of failure as a person reads them.

const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const WHOLE = new Intl.NumberFormat('en');
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

/** `1,204`, and from ten thousand on `12K`. */
export function count(number) {
  if (number === null || number === undefined) return '–';
  return number < 10_000 ? WHOLE.format(number) : COMPACT.format(number);
}

/** A number a second: `0`, `0.07`, `4.2`, `180`. */
export function rate(number) {
  if (number === 0) return '0';
  if (number < 0.1) return number.toFixed(2);
  if (number < 10) return number.toFixed(1);
  return count(Math.round(number));
}

export function milliseconds(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 100_000) return `${(ms / 1000).toFixed(1)} s`;
  return duration(ms / 1000);
}

/** `12 s`, `4 min`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 100) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h${minutes % 60 ? ` ${minutes % 60} min` : ''}`;
  const rest = hours % 24;
  return `${Math.floor(hours / 24)} d${rest ? ` ${rest} h` : ''}`;
}

/** A share of 0 to 1; never 100 % where something is missing, nor 0 % where something is there. */
export function percent(share) {
  if (share === null || share === undefined) return '–';
  const hundredths = share * 100;
  if (hundredths > 99 && hundredths < 100) return `${(Math.floor(hundredths * 10) / 10).toFixed(1)} %`;
  if (hundredths > 0 && hundredths < 1) return `${Math.max(0.1, hundredths).toFixed(1)} %`;
  return `${Math.round(hundredths)} %`;
}

export function dollars(usd) {
  if (usd === null || usd === undefined) return '–';
  if (usd === 0) return '$0';
  if (usd < 0.01) return `$${usd.toPrecision(2)}`;
  return `$${usd < 1000 ? usd.toFixed(2) : count(Math.round(usd))}`;
}

export const clock = (time) => CLOCK.format(time);

/** The time of day, with the day where that is not today. */
export function moment(time) {
  const date = new Date(time);
  return date.toDateString() === new Date().toDateString() ? clock(date) : DAY.format(date);
}

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** `a`, `a and b`, `a, b and c`. */
export function list(words) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** What a backend does that fails with this class; goes on from its name. */
export function deed({ class: name, kind, status, reason }) {
  switch (name) {
    case 'connect': return 'cannot be reached';
    case 'stale_conn':
    case 'reset': return 'hangs up without an answer';
    case 'ttft_timeout': return 'does not answer in time';
    case 'server': return status ? `answers ${status}` : 'fails by itself';
    case 'unavailable': return `answers ${status ?? 503}`;
    case 'overloaded': return `${status ? `answers ${status}, ` : 'is '}overloaded`;
    case 'rate': return `is at its rate limit${kind ? ` (${kind})` : ''}`;
    case 'quota': return `has used up its ${kind && kind !== 'quota' ? kind : 'quota'}`;
    case 'auth': return `refuses its key${status ? ` (${status})` : ''}`;
    case 'forbidden_model': return 'refuses its key this model';
    case 'not_found': return 'does not know the model';
    case 'bad_response': return `gives answers that are none${status ? ` (${status})` : ''}`;
    case 'midstream': return 'breaks its streams off';
    default: return reason ?? name;
  }
}

/** What came of an attempt, after "backend ": the same in the past. */
export function cameTo({ class: name, kind, status }) {
  const said = status ? ` (${status})` : '';
  switch (name) {
    case 'ok': return 'answered';
    case 'connect': return 'could not be reached';
    case 'stale_conn': return 'had closed the connection';
    case 'reset': return 'hung up without an answer';
    case 'ttft_timeout': return 'did not answer in time';
    case 'server': return status ? `answered ${status}` : 'failed by itself';
    case 'unavailable': return `answered ${status ?? 503}`;
    case 'overloaded': return `was overloaded${said}`;
    case 'rate': return `was at its rate limit${kind ? `, ${kind}` : ''}${said}`;
    case 'quota': return `had used up its ${kind && kind !== 'quota' ? kind : 'quota'}${said}`;
    case 'auth': return `refused its key${said}`;
    case 'forbidden_model': return `refused its key this model${said}`;
    case 'not_found': return `did not know the model${said}`;
    case 'bad_response': return `gave an answer that is none${said}`;
    case 'context_length': return 'found the conversation too long';
    case 'signature': return 'refused the signature of a thinking block';
    case 'policy': return `refused the content${said}`;
    case 'client':
    case 'unsupported':
    case 'conflict': return `refused the request${said}`;
    case 'midstream': return 'broke the stream off';
    case 'overtaken': return 'was silent, and another asked beside it answered first';
    case 'client_gone': return 'was left by the client';
    default: return `came to “${name}”${said}`;
  }
}

const SCOPES = { backend: 'the backend', backend_model: 'the model', key: 'the key', key_model: 'the key for the model' };

/** What of a backend a cooldown is about. */
export function scope({ scope: name, key, model }) {
  if (name === 'key' && key) return `key ${key}`;
  if (name === 'key_model' && key) return `key ${key}${model ? ` for ${model}` : ''}`;
  if (name === 'backend_model' && model) return `model ${model}`;
  return SCOPES[name] ?? name;
}
