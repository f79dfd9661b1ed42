// @ts-check
/** Where an archive goes: a file that the person chose, or what the browser keeps until it is a download. */
import { saveAs } from "./dom.js";
import { formatBytes } from "./format.js";
import { TEXT } from "./strings.js";

/** A larger archive goes through the browser's storage, if there is one: pieces may be in memory. */
const MAX_PIECES_BYTES = 256 * 1024 ** 2;
/** A larger archive is never put together from pieces. */
const MAX_BLOB_BYTES = 2 * 1024 ** 3;
const BLOB_PIECE_BYTES = 8 * 1024 * 1024;
const FOLDER = "archives";
const LOCK = "ferry:archive:";
/** How long a download may copy the archive out of the browser's storage. */
const COPY_MS = 3_600_000;

/** @typedef {{write: (bytes: Uint8Array) => Promise<void>, close: () => Promise<void>, abort: () => Promise<void>}} Sink */

/** @param {string} name @returns {Promise<Sink | null>} a file that the person chose; null where the browser has none */
export async function chooseFile(name) {
  const picker = /** @type {any} */ (globalThis).showSaveFilePicker;
  if (!picker) return null;
  const handle = await picker({
    suggestedName: name,
    types: [{ description: "ZIP", accept: { "application/zip": [".zip"] } }],
  });
  return handle.createWritable();
}

/** @param {string} name @param {number} bytes of all files @returns {Promise<Sink>} a sink that becomes a download when it is closed */
export async function openDownload(name, bytes) {
  if (bytes <= MAX_PIECES_BYTES) return blobFile(name);
  const storage = await storageFile(name, bytes);
  if (storage) return storage;
  if (bytes > MAX_BLOB_BYTES) throw new Error(TEXT.zipTooLarge(formatBytes(bytes)));
  return blobFile(name);
}

/** @param {{create: boolean}} options @returns {Promise<FileSystemDirectoryHandle | null>} a folder of the browser's storage for this origin; null where there is none, as in a private window */
async function openFolder(options) {
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(FOLDER, options);
  } catch {
    return null;
  }
}

/** @param {string} name @param {number} bytes @returns {Promise<Sink | null>} null where the browser's storage has no room */
async function storageFile(name, bytes) {
  const folder = await openFolder({ create: true });
  if (!folder || !navigator.locks) return null;
  await removeLeftovers();
  const { quota = 0, usage = 0 } = await navigator.storage.estimate();
  if (bytes > quota - usage) return null;
  const id = crypto.randomUUID();
  const release = await holdLock(LOCK + id);
  const remove = async () => {
    await folder.removeEntry(id).catch(() => {});
    release();
  };
  try {
    const handle = await folder.getFileHandle(id, { create: true });
    const writable = await handle.createWritable();
    return {
      write: (piece) => writable.write(/** @type {BufferSource} */ (piece)),
      close: async () => {
        await writable.close();
        saveBlob(await handle.getFile(), name, COPY_MS);
        setTimeout(() => void remove(), COPY_MS);
      },
      abort: async () => {
        await writable.abort().catch(() => {});
        await remove();
      },
    };
  } catch {
    await remove();
    return null;
  }
}

/** @param {string} name @returns {Promise<() => void>} releases the lock, which ends with the page at the latest */
function holdLock(name) {
  return new Promise((resolve) => {
    void navigator.locks.request(name, () => new Promise((release) => resolve(() => release(undefined))));
  });
}

/** Remove archives of pages that were closed: a page cannot find out when the download of a file is complete. */
export async function removeLeftovers() {
  const folder = navigator.locks ? await openFolder({ create: false }) : null;
  if (!folder) return;
  const held = new Set((await navigator.locks.query()).held?.map((lock) => lock.name));
  const names = [];
  for await (const name of /** @type {any} */ (folder).keys()) names.push(name);
  for (const name of names) if (!held.has(LOCK + name)) await folder.removeEntry(name).catch(() => {});
}

/** @param {string} name @returns {Sink} pieces in memory, or where else the browser keeps them */
function blobFile(name) {
  /** @type {Blob[]} */
  let pieces = [];
  /** @type {Uint8Array[]} */
  let recent = [];
  let recentBytes = 0;
  const close = () => {
    pieces.push(new Blob(/** @type {BlobPart[]} */ (recent)));
    [recent, recentBytes] = [[], 0];
  };
  return {
    write: async (bytes) => {
      recent.push(bytes);
      recentBytes += bytes.length;
      if (recentBytes >= BLOB_PIECE_BYTES) close();
    },
    close: async () => {
      close();
      saveBlob(new Blob(pieces, { type: "application/zip" }), name, 60_000);
    },
    abort: async () => {
      pieces = [];
    },
  };
}

/** @param {Blob} blob @param {string} name @param {number} milliseconds until its address ends */
function saveBlob(blob, name, milliseconds) {
  const url = URL.createObjectURL(blob);
  saveAs(url, name);
  setTimeout(() => URL.revokeObjectURL(url), milliseconds);
}
