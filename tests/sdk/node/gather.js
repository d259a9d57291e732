// An async iterable as a list: `Array.fromAsync` for Node 20.

/** Awaits every item, in order. */
export async function gather(items) {
  const list = [];
  for await (const item of items) list.push(item);
  return list;
}
