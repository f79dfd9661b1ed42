// @ts-check
/** Uploads and moves that this browser began, kept in IndexedDB: after a crash one click resumes them. */
const UPLOADS = "uploads";
const MOVES = "moves";
const MAX_AGE_MS = 8 * 86_400_000;

/**
 * @typedef {object} SavedUpload
 * @property {string} scope whose upload it is: a client, or a link by its id
 * @property {string} name the file's name on the service, as it was asked for
 * @property {string} fileName the local file's name
 * @property {number} size
 * @property {number} lastModified
 * @property {string} uploadId
 * @property {FileSystemFileHandle} [handle] where the browser has one
 */

/** @typedef {{scope: string, from: string, to: string}} SavedMove a folder whose files are being moved */

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("ferry", 2);
    request.onupgradeneeded = () => {
      const database = request.result;
      for (const name of [...database.objectStoreNames]) database.deleteObjectStore(name);
      for (const name of [UPLOADS, MOVES]) database.createObjectStore(name, { keyPath: "key" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("another tab has an older page open"));
  });
}

/**
 * @template T
 * @param {string} name
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} work
 * @returns {Promise<T | null>} null where the browser allows no storage
 */
async function run(name, mode, work) {
  try {
    const database = await open();
    try {
      const request = work(database.transaction(name, mode).objectStore(name));
      return await new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    } finally {
      database.close();
    }
  } catch {
    return null;
  }
}

/** @template {{scope: string, savedAt?: number}} T @param {string} name @param {string} scope @returns {Promise<T[]>} */
async function allOf(name, scope) {
  const entries = /** @type {any[]} */ ((await run(name, "readonly", (store) => store.getAll())) ?? []);
  const oldest = Date.now() - MAX_AGE_MS;
  for (const entry of entries) {
    if (entry.savedAt < oldest) await run(name, "readwrite", (store) => store.delete(entry.key));
  }
  return entries.filter((entry) => entry.scope === scope && entry.savedAt >= oldest);
}

/** @param {SavedUpload} upload */
export async function save(upload) {
  const entry = { ...upload, key: `${upload.scope} ${upload.name}`, savedAt: Date.now() };
  const saved = await run(UPLOADS, "readwrite", (store) => store.put(entry));
  if (saved === null && upload.handle) {
    await run(UPLOADS, "readwrite", (store) => store.put({ ...entry, handle: undefined }));
  }
}

/** @param {string} scope @param {string} name */
export function forget(scope, name) {
  return run(UPLOADS, "readwrite", (store) => store.delete(`${scope} ${name}`));
}

/** @param {string} scope @returns {Promise<SavedUpload[]>} */
export function all(scope) {
  return allOf(UPLOADS, scope);
}

/** @param {SavedMove} move */
export function saveMove(move) {
  return run(MOVES, "readwrite", (store) =>
    store.put({ ...move, key: `${move.scope} ${move.from}`, savedAt: Date.now() }),
  );
}

/** @param {SavedMove} move */
export function forgetMove(move) {
  return run(MOVES, "readwrite", (store) => store.delete(`${move.scope} ${move.from}`));
}

/** @param {string} scope @returns {Promise<SavedMove[]>} */
export function allMoves(scope) {
  return allOf(MOVES, scope);
}
