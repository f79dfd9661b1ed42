// @ts-check
/** Uploads that this browser began, kept in IndexedDB: after a crash of the browser they are resumed by one click. */
const STORE = "uploads";

/**
 * @typedef {object} SavedUpload
 * @property {string} name the file's name on the service
 * @property {string} fileName the local file's name
 * @property {number} size
 * @property {number} lastModified
 * @property {string} uploadId
 * @property {FileSystemFileHandle} [handle] where the browser has one
 */

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("ferry", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "name" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @template T @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest<T>} work @returns {Promise<T | null>} null where the browser allows no storage */
async function run(mode, work) {
  try {
    const database = await open();
    const request = work(database.transaction(STORE, mode).objectStore(STORE));
    return await new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } catch {
    return null;
  }
}

/** @param {SavedUpload} upload */
export async function save(upload) {
  const saved = await run("readwrite", (store) => store.put(upload));
  if (saved === null && upload.handle) await run("readwrite", (store) => store.put({ ...upload, handle: undefined }));
}

/** @param {string} name */
export function forget(name) {
  return run("readwrite", (store) => store.delete(name));
}

/** @returns {Promise<SavedUpload[]>} */
export async function all() {
  return (await run("readonly", (store) => store.getAll())) ?? [];
}
