// @ts-check
import { toast } from "./dom.js";
import { TEXT } from "./strings.js";

/**
 * Take dropped files and folders. Each file of a folder gets its path below the folder's parent as `ferryPath`.
 * @param {HTMLElement} target
 * @param {(files: File[], handles: Map<File, FileSystemFileHandle>) => void} onFiles
 */
export function acceptDrops(target, onFiles) {
  target.addEventListener("dragover", (event) => {
    event.preventDefault();
    target.classList.add("drop-target");
  });
  target.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null || !target.contains(/** @type {Node} */ (event.relatedTarget))) {
      target.classList.remove("drop-target");
    }
  });
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    target.classList.remove("drop-target");
    const items = [...(event.dataTransfer?.items ?? [])].filter((item) => item.kind === "file");
    // Text and links of other pages are no files.
    if (!items.length) return;
    // Entries and handles must be asked for before the event ends.
    const entries = items.map((item) => item.webkitGetAsEntry());
    const handles = items.map((item) => /** @type {any} */ (item).getAsFileSystemHandle?.() ?? Promise.resolve(null));
    void collect(entries, handles).then(({ files, byFile, unreadable }) => {
      if (files.length) onFiles(files, byFile);
      if (unreadable.length) toast(TEXT.dropUnreadable(unreadable.length, unreadable[0]));
      else if (!files.length) toast(TEXT.dropEmpty);
    });
  });
}

/** @param {(FileSystemEntry | null)[]} entries @param {Promise<any>[]} handles */
async function collect(entries, handles) {
  /** @type {File[]} */
  const files = [];
  /** @type {string[]} */
  const unreadable = [];
  const byFile = new Map();
  for (const [index, entry] of entries.entries()) {
    if (!entry) continue;
    const found = await filesOf(entry, "", unreadable);
    files.push(...found);
    const handle = await handles[index].catch(() => null);
    if (entry.isFile && found.length && handle?.kind === "file") byFile.set(found[0], handle);
  }
  return { files, byFile, unreadable };
}

/**
 * @param {FileSystemEntry} entry
 * @param {string} path of the folder that it is in, with `/` at its end
 * @param {string[]} unreadable takes the names of what the browser may not read
 * @returns {Promise<File[]>}
 */
async function filesOf(entry, path, unreadable) {
  const name = `${path}${entry.name}`;
  /** @type {File[]} */
  const files = [];
  try {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) =>
        /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject),
      );
      Object.defineProperty(file, "ferryPath", { value: name });
      return [file];
    }
    const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
    for (;;) {
      /** @type {FileSystemEntry[]} */
      const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!batch.length) break;
      for (const each of batch) files.push(...(await filesOf(each, `${name}/`, unreadable)));
    }
  } catch {
    unreadable.push(name);
  }
  return files;
}
