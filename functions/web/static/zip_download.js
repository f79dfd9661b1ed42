// @ts-check
/** Several files as one ZIP64 archive, which streams to the disk where the browser can write there. */
import { backoff, filePath, sleep } from "./api.js";
import { announce, button, element, showDialog, toast } from "./dom.js";
import { formatBytes } from "./format.js";
import { describe } from "./errors.js";
import { TEXT } from "./strings.js";
import { centralHeader, crc32, dataDescriptor, endRecords, localHeader } from "./zip.js";
import { entryNames } from "./zip_names.js";
import { chooseFile, openDownload } from "./zip_sinks.js";

const MAX_ATTEMPTS = 8;
const BLOCK_BYTES = 1024 * 1024;

/** @typedef {import("./zip_sinks.js").Sink} Sink */

/**
 * Download files as one archive.
 * @param {import("./api.js").Session} session
 * @param {{records: () => Promise<any[]>, prefix: string, name: string}} options `records` lists the files; entries are named without `prefix`
 */
export async function saveZip(session, { records, prefix, name }) {
  /** @type {Sink | null} */
  let sink = null;
  try {
    // The browser shows its dialog right after the click only.
    sink = await chooseFile(name);
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
  await showDialog(TEXT.zipTitle, (close) => {
    stop.addEventListener("click", () => close());
    void write().then(
      ({ count, renamed }) => {
        if (!renamed.length) {
          close();
          toast(TEXT.zipDone(count));
          return;
        }
        status.textContent = TEXT.zipDone(count);
        status.after(renamedList(renamed));
        stop.textContent = TEXT.close;
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
    sink ??= await openDownload(name, total);
    const names = entryNames(files.map((file) => file.filename.slice(prefix.length)));
    progress.max = Math.max(1, total);
    let done = 0;
    let shownAt = 0;
    await writeArchive(session, files, names, sink, signal, (bytes) => {
      done += bytes;
      if (performance.now() - shownAt < 200 && done < total) return;
      shownAt = performance.now();
      progress.value = done;
      status.textContent = `${formatBytes(done)} / ${formatBytes(total)}`;
    });
    announce(TEXT.zipDone(files.length));
    const renamed = files
      .map((file, index) => ({ from: file.filename.slice(prefix.length), to: names[index] }))
      .filter(({ from, to }) => from !== to);
    return { count: files.length, renamed };
  }
}

/** @param {{from: string, to: string}[]} renamed @returns {Node} */
function renamedList(renamed) {
  return element(
    "div",
    {},
    element("p", {}, TEXT.zipRenamed),
    element(
      "ul",
      { class: "failures", tabindex: "0", "aria-label": TEXT.zipRenamed },
      ...renamed.map(({ from, to }) => element("li", {}, `${from} → ${to}`)),
    ),
  );
}

/**
 * @param {import("./api.js").Session} session
 * @param {any[]} files
 * @param {string[]} names of the files inside the archive
 * @param {Sink} sink
 * @param {AbortSignal} signal
 * @param {(bytes: number) => void} onBytes
 */
async function writeArchive(session, files, names, sink, signal, onBytes) {
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
  for (const [index, file] of files.entries()) {
    signal.throwIfAborted();
    const entry = {
      name: names[index],
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
