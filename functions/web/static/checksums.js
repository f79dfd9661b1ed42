// @ts-check
import { crc32cOfBlob } from "./crc32c.js";

/** @typedef {{blob: Blob, resolve: (crc: number | Promise<number>) => void, reject: (error: Error) => void}} Task */

/** @type {Worker | null} */
let worker = null;
let isWorkerBroken = false;
let nextId = 1;
/** @type {Map<number, Task>} */
const waiting = new Map();

/** @returns {Worker} */
function startWorker() {
  const started = new Worker(new URL("./crc_worker.js", import.meta.url), { type: "module" });
  started.onmessage = (event) => {
    const task = waiting.get(event.data.id);
    waiting.delete(event.data.id);
    if (event.data.error) task?.reject(new Error(event.data.error));
    else task?.resolve(event.data.crc);
  };
  // Its script may be gone: a page that was opened before the service was updated names the assets of that time.
  started.onerror = () => {
    isWorkerBroken = true;
    for (const task of waiting.values()) task.resolve(crc32cOfBlob(task.blob));
    waiting.clear();
  };
  return started;
}

/** @param {Blob} blob @returns {Promise<number>} its CRC32C, computed in a worker; on the page where there is none */
export function checksumOf(blob) {
  if (isWorkerBroken) return crc32cOfBlob(blob);
  worker ??= startWorker();
  const id = nextId;
  nextId += 1;
  return new Promise((resolve, reject) => {
    waiting.set(id, { blob, resolve, reject });
    /** @type {Worker} */ (worker).postMessage({ id, blob });
  });
}
