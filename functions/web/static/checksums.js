// @ts-check
/** @type {Worker | null} */
let worker = null;
let nextId = 1;
/** @type {Map<number, {resolve: (crc: number) => void, reject: (error: Error) => void}>} */
const waiting = new Map();

/** @param {Blob} blob @returns {Promise<number>} its CRC32C, computed in a worker */
export function checksumOf(blob) {
  if (!worker) {
    worker = new Worker(new URL("./crc_worker.js", import.meta.url), { type: "module" });
    worker.onmessage = (event) => {
      const entry = waiting.get(event.data.id);
      waiting.delete(event.data.id);
      if (event.data.error) entry?.reject(new Error(event.data.error));
      else entry?.resolve(event.data.crc);
    };
  }
  const id = nextId;
  nextId += 1;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    /** @type {Worker} */ (worker).postMessage({ id, blob });
  });
}
