// Elements from data, and changes of what is shown without losing focus, selection or what is unfolded.
//
// Text goes into text nodes alone; there is no way here from a string to markup. Nothing listens at the elements that
// are made here: `data-do` says what a click means, and one listener in `app.js` looks for it.

const SVG = 'http://www.w3.org/2000/svg';
const OF_SVG = new Set(['svg', 'path', 'rect', 'line', 'g', 'circle', 'text']);

/** An element. `css` holds custom properties, `key` tells it from its siblings, other members are attributes. */
export function el(tag, attributes = {}, ...children) {
  const node = OF_SVG.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'css') {
      for (const [property, own] of Object.entries(value)) node.style.setProperty(property, String(own));
    } else if (name === 'key') {
      node.dataset.key = value;
    } else {
      node.setAttribute(name, value === true ? '' : String(value));
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Makes the children of `parent` these, and keeps of the old ones what is the same. */
export function show(parent, ...children) {
  const wanted = document.createDocumentFragment();
  wanted.append(...children.flat(Infinity).filter(Boolean));
  childrenOf(parent, wanted);
}

function childrenOf(old, wanted) {
  const keyed = new Map();
  for (const child of old.childNodes) {
    if (child.dataset?.key) keyed.set(child.dataset.key, child);
  }
  let at = old.firstChild;
  for (const next of [...wanted.childNodes]) {
    const key = next.dataset?.key;
    const same = key ? keyed.get(key) : at && !at.dataset?.key ? at : null;
    if (same && isAlike(same, next)) {
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      change(same, next);
    } else {
      old.insertBefore(next, at);
      if (same && !key) {
        at = same.nextSibling;
        same.remove();
      }
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function isAlike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
}

function change(old, wanted) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== wanted.data) old.data = wanted.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (name !== 'style' && !wanted.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (name !== 'style' && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  // By the object model: the page's policy forbids the attribute.
  if (old.style.cssText !== wanted.style.cssText) old.style.cssText = wanted.style.cssText;
  childrenOf(old, wanted);
}

/** Drawings of 16 by 16. */
const DRAWINGS = {
  ok: ['M3.5 8.5l3 3 6-7'],
  bad: ['M4.5 4.5l7 7', 'M11.5 4.5l-7 7'],
  warn: ['M8 2.5l6 11H2z', 'M8 7v3', 'M8 12v.01'],
  cooling: ['M8 2v12', 'M2.8 5l10.4 6', 'M13.2 5L2.8 11'],
  probing: ['M13 8a5 5 0 1 1-1.5-3.5', 'M13 2.5v3h-3'],
  off: ['M3.5 8h9'],
  idle: ['M8 4.5V8l2.5 1.5', 'M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11'],
  open: ['M4 6l4 4 4-4'],
  copy: ['M6 6h7.5v7.5H6z', 'M3.5 10H2.5V2.5H10v1'],
  reload: ['M13 8a5 5 0 1 1-1.5-3.5', 'M13 2.5v3h-3'],
  sun: ['M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6', 'M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M12.6 3.4l-.7.7M4.1 11.9l-.7.7'],
  moon: ['M13 9.6A5.4 5.4 0 0 1 6.4 3a5.4 5.4 0 1 0 6.6 6.6z'],
  auto: ['M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11', 'M8 2.5v11', 'M8 5.5h2.8M8 8h3.6M8 10.5h2.8'],
  arrow: ['M3 8h10', 'M9.5 4.5L13 8l-3.5 3.5'],
  skip: ['M3 4.5L7.5 8 3 11.5z', 'M10.5 4.5v7'],
};

/** A drawing; words stand beside it wherever it means something. */
export function icon(name) {
  const lines = DRAWINGS[name].map((d) => el('path', { d }));
  return el('svg', { class: `icon icon-${name}`, viewBox: '0 0 16 16', 'aria-hidden': 'true' }, lines);
}

export const at = (id) => document.getElementById(id);

/** Sets a text if it is another one: who listens to a page is told of changes alone. */
export function say(id, text) {
  const node = at(id);
  if (node.textContent !== text) node.textContent = text;
}
