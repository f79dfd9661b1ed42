// @ts-check
/** Several files as one ZIP64 archive, which streams to the disk where the browser can write there. */
import { backoff, filePath, sleep } from "./api.js";
import { announce, button, dialogue, element, saveAs, toast } from "./dom.js";
import { formatBytes } from "./format.js";
import { describe } from "./listing.js";
import { TEXT } from "./strings.js";
import { centralHeader, crc32, dataDescriptor, endRecords, localHeader } from "./zip.js";

const MAX_BLOB_BYTES = 2 * 1024 ** 3;
const MAX_ATTEMPTS = 8;
const BLOB_PIECE_BYTES = 8 * 1024 * 1024;
const BLOCK_BYTES = 1024 * 1024;

/** @typedef {{write: (bytes: Uint8Array) => Promise<void>, close: () => Promise<void>, abort: () => Promise<void>}} Sink */

/**
 * Download files as one archive.
 * @param {import("./api.js").Session} session
 * @param {{records: () => Promise<any[]>, prefix: string, name: string}} options `records` lists the files; entries are named without `prefix`
 */
export async function saveZip(session, { records, prefix, name }) {
  /** @type {Sink | null} */
  let sink = null;
  try {
    // The browser shows its dialogue right after the click only.
    sink = await openFile(name);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
  }
  const controller = new AbortController();
  const { signal } = controller;
  const progress = /** @type {HTMLProgressElement} */ (
    element("progress", { "aria-label": TEXT.zipTitle, max: 1, value: 0 })
  );
  const status = element("p", {}, TEXT.loading);
  const stop = button(TEXT.cancel, () => {}, { class: "primary" });
  await dialogue(TEXT.zipTitle, (close) => {
    stop.addEventListener("click", () => close());
    void write().then(
      (count) => {
        close();
        toast(TEXT.zipDone(count));
      },
      (error) => {
        void sink?.abort().catch(() => {});
        if (signal.aborted) return;
        status.textContent = describe(error);
        status.setAttribute("role", "alert");
        status.className = "error";
        stop.textContent = TEXT.close;
      },
    );
    return [progress, status, element("div", { class: "buttons" }, stop)];
  });
  controller.abort(new Error(TEXT.cancelled));

  async function write() {
    const files = await records();
    if (!files.length) throw new Error(TEXT.zipEmpty);
    const total = files.reduce((sum, file) => sum + file.size, 0);
    if (!sink && total > MAX_BLOB_BYTES) {
      throw new Error(TEXT.zipTooLarge(formatBytes(total), formatBytes(MAX_BLOB_BYTES)));
    }
    sink ??= memoryFile(name);
    progress.max = Math.max(1, total);
    let done = 0;
    let shownAt = 0;
    await writeArchive(session, files, prefix, sink, signal, (bytes) => {
      done += bytes;
      if (performance.now() - shownAt < 200 && done < total) return;
      shownAt = performance.now();
      progress.value = done;
      status.textContent = `${formatBytes(done)} / ${formatBytes(total)}`;
    });
    announce(TEXT.zipDone(files.length));
    return files.length;
  }
}

/**
 * @param {import("./api.js").Session} session
 * @param {any[]} files
 * @param {string} prefix
 * @param {Sink} sink
 * @param {AbortSignal} signal
 * @param {(bytes: number) => void} onBytes
 */
async function writeArchive(session, files, prefix, sink, signal, onBytes) {
  let offset = 0;
  /** @type {Uint8Array[]} */
  let block = [];
  let blockBytes = 0;
  const flush = async () => {
    if (!blockBytes) return;
    const joined = new Uint8Array(blockBytes);
    let at = 0;
    for (const piece of block) {
      joined.set(piece, at);
      at += piece.length;
    }
    [block, blockBytes] = [[], 0];
    await sink.write(joined);
  };
  const write = async (/** @type {Uint8Array} */ bytes) => {
    block.push(bytes);
    blockBytes += bytes.length;
    offset += bytes.length;
    if (blockBytes >= BLOCK_BYTES) await flush();
  };
  /** @type {import("./zip.js").Entry[]} */
  const entries = [];
  for (const file of files) {
    signal.throwIfAborted();
    const entry = {
      name: file.filename.slice(prefix.length),
      size: file.size,
      time: new Date(file.uploaded_at),
      crc: 0,
      offset,
    };
    await write(localHeader(entry));
    for await (const bytes of contentOf(session, file, signal)) {
      entry.crc = crc32(bytes, entry.crc);
      onBytes(bytes.length);
      await write(bytes);
    }
    await write(dataDescriptor(entry));
    entries.push(entry);
  }
  const directory = offset;
  for (const entry of entries) await write(centralHeader(entry));
  await write(endRecords(entries.length, offset - directory, directory));
  await flush();
  await sink.close();
}

/**
 * The bytes of a file from S3. A connection that breaks is continued where it broke, on the same content only.
 * @param {import("./api.js").Session} session
 * @param {any} file
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Uint8Array>}
 */
async function* contentOf(session, file, signal) {
  let received = 0;
  for (let attempt = 0; received < file.size; attempt += 1) {
    const link = await session.json("GET", filePath("/download", file.filename, { redirect: "false" }), { signal });
    if (link.etag.replaceAll('"', "") !== file.etag.replaceAll('"', "")) {
      throw new Error(TEXT.zipChanged(file.filename));
    }
    const before = received;
    try {
      const response = await fetch(link.url, {
        headers: received ? { Range: `bytes=${received}-` } : {},
        signal,
        credentials: "omit",
      });
      if (!response.body || response.status !== (received ? 206 : 200)) {
        throw new Error(`S3 answered ${response.status}.`);
      }
      const reader = response.body.getReader();
      try {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          received += value.length;
          if (received > file.size) throw new RangeError(TEXT.zipChanged(file.filename));
          yield value;
        }
      } finally {
        void reader.cancel().catch(() => {});
      }
    } catch (error) {
      if (signal.aborted || error instanceof RangeError) throw error;
      if (received === before && attempt >= MAX_ATTEMPTS) throw error;
    }
    if (received < file.size) await sleep(backoff(received > before ? 0 : attempt), signal);
  }
}

/** @param {string} name @returns {Promise<Sink | null>} a file that the person chose; null where the browser has none */
async function openFile(name) {
  const picker = /** @type {any} */ (globalThis).showSaveFilePicker;
  if (!picker) return null;
  const handle = await picker({
    suggestedName: name,
    types: [{ description: "ZIP", accept: { "application/zip": [".zip"] } }],
  });
  return handle.createWritable();
}

/** @param {string} name @returns {Sink} what the browser keeps until the archive is complete, in pieces that it can put on disk */
function memoryFile(name) {
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
      const url = URL.createObjectURL(new Blob(pieces, { type: "application/zip" }));
      saveAs(url, name);
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    },
    abort: async () => {
      pieces = [];
    },
  };
}
