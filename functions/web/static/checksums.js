// @ts-check
import { crc32cOfBlob } from "./crc32c.js";

const MAX_WORKER_BYTES = 32 * 1024 * 1024;

/** @typedef {{blob: Blob, resolve: (crc: number | Promise<number>) => void, reject: (error: Error) => void}} Task */
/** @typedef {{worker: Worker, tasks: Map<number, Task>, bytes: number}} CrcWorker a worker, its open tasks, and the bytes that it has received so far */

/** @type {CrcWorker | null} */
let current = null;
let isWorkerBroken = false;
let nextId = 1;

/** @returns {CrcWorker} */
function startWorker() {
  const worker = new Worker(new URL("./crc_worker.js", import.meta.url), { type: "module" });
  /** @type {CrcWorker} */
  const started = { worker, tasks: new Map(), bytes: 0 };
  worker.onmessage = (event) => {
    const task = started.tasks.get(event.data.id);
    started.tasks.delete(event.data.id);
    if (started !== current && !started.tasks.size) worker.terminate();
    if (event.data.error) task?.reject(new Error(event.data.error));
    else task?.resolve(event.data.crc);
  };
  // Its script may be gone: a page that was opened before the service was updated names the assets of that time.
  worker.onerror = () => {
    isWorkerBroken = true;
    for (const task of started.tasks.values()) task.resolve(crc32cOfBlob(task.blob));
    started.tasks.clear();
  };
  return started;
}

/**
 * Return the CRC32C of a blob, computed in a worker; on the page where there is none. After some bytes another worker
 * takes over: what a worker has read stays in memory until its garbage collector runs, or until the worker ends.
 * @param {Blob} blob
 * @returns {Promise<number>}
 */
export function checksumOf(blob) {
  if (isWorkerBroken) return crc32cOfBlob(blob);
  current ??= startWorker();
  const { worker, tasks } = current;
  const id = nextId;
  nextId += 1;
  current.bytes += blob.size;
  if (current.bytes >= MAX_WORKER_BYTES) current = null;
  return new Promise((resolve, reject) => {
    tasks.set(id, { blob, resolve, reject });
    worker.postMessage({ id, blob });
  });
}
