// @ts-check
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
    // Entries and handles must be asked for before the event ends.
    const entries = items.map((item) => item.webkitGetAsEntry());
    const handles = items.map((item) => /** @type {any} */ (item).getAsFileSystemHandle?.() ?? Promise.resolve(null));
    void collect(entries, handles).then(({ files, byFile }) => onFiles(files, byFile));
  });
}

/** @param {(FileSystemEntry | null)[]} entries @param {Promise<any>[]} handles */
async function collect(entries, handles) {
  /** @type {File[]} */
  const files = [];
  const byFile = new Map();
  for (const [index, entry] of entries.entries()) {
    if (!entry) continue;
    const found = await filesOf(entry, "");
    files.push(...found);
    const handle = await handles[index].catch(() => null);
    if (entry.isFile && handle?.kind === "file") byFile.set(found[0], handle);
  }
  return { files, byFile };
}

/** @param {FileSystemEntry} entry @param {string} path @returns {Promise<File[]>} */
async function filesOf(entry, path) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) =>
      /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject),
    );
    Object.defineProperty(file, "ferryPath", { value: `${path}${entry.name}` });
    return [file];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const files = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) return files;
    for (const each of batch) files.push(...(await filesOf(each, `${path}${entry.name}/`)));
  }
}
