// @ts-check
import { filePath } from "./api.js";
import { button, confirmed, downloadFrom, element, input, labelled, showDialog, toast } from "./dom.js";
import { moveFolder } from "./folder_move.js";
import { describe } from "./errors.js";
import { listFolder } from "./listing.js";
import { TEXT } from "./strings.js";
import { saveZip } from "./zip_download.js";

const DELETE_BATCH = 100;
const RESTORERS = 4;

/** The actions on files and folders of a view. */
export class FileActions {
  /** @param {import("./api.js").Session} session @param {import("./files_view.js").FilesView} view */
  constructor(session, view) {
    this.session = session;
    this.view = view;
  }

  /** @param {any} file */
  async download(file) {
    const link = await this.session.json("GET", filePath("/download", file.filename, { redirect: "false" }));
    downloadFrom(link.url);
  }

  /** @param {string[]} names files, and folders with `/` at their ends */
  async zip(names) {
    const parts = this.view.prefix.split("/");
    await saveZip(this.session, {
      records: () => this.#recordsOf(names),
      prefix: this.view.prefix,
      name: `${parts.at(-2) || "files"}.zip`,
    });
  }

  /** @param {string[]} names @returns {Promise<any[]>} the records of files, and of all files in folders */
  async #recordsOf(names) {
    const known = new Map(this.view.files.map((file) => [file.filename, file]));
    const records = [];
    for (const name of names) {
      if (known.has(name)) records.push(known.get(name));
      else records.push(...(await listFolder(this.session, name, { isDeep: true })).files);
    }
    return records;
  }

  /** @param {any} file */
  async move(file) {
    const to = await askName(TEXT.move, TEXT.newName, file.filename, async (name) => {
      if (name === file.filename) return;
      await this.session.json("POST", "/files/move", { json: { from: file.filename, to: name, etag: file.etag } });
    });
    if (!to || to === file.filename) return;
    await this.view.load();
    toast(TEXT.moved);
  }

  /** @param {string} folder */
  async moveFolder(folder) {
    const withSlash = (/** @type {string} */ name) => (name.endsWith("/") ? name : `${name}/`);
    const given = await askName(TEXT.moveFolder, TEXT.folderPath, folder.slice(0, -1), (name) => {
      if (withSlash(name) !== folder && withSlash(name).startsWith(folder)) throw new Error(TEXT.folderSame);
    });
    if (!given) return;
    const to = withSlash(given);
    if (to === folder) return;
    await moveFolder(this.session, folder, to);
    await this.view.load();
  }

  /** @param {string[]} names files, and folders with `/` at their ends */
  async delete(names) {
    const hasFolders = names.some((name) => name.endsWith("/"));
    const filenames = hasFolders ? (await this.#recordsOf(names)).map((file) => file.filename) : names;
    if (
      (names.length > 1 || hasFolders) &&
      !(await confirmed(TEXT.deleteSome(filenames.length), TEXT.deleteText, TEXT.delete))
    ) {
      return;
    }
    /** @type {string[]} */
    const deleted = [];
    for (let first = 0; first < filenames.length; first += DELETE_BATCH) {
      const body = await this.session.json("POST", "/files/delete", {
        json: { filenames: filenames.slice(first, first + DELETE_BATCH) },
      });
      deleted.push(...body.deleted);
    }
    for (const name of names) this.view.selected.delete(name);
    await this.view.load();
    toast(TEXT.deletedFiles(deleted.length), TEXT.undo, () => void this.#restore(deleted));
  }

  /** @param {string[]} names */
  async #restore(names) {
    const remaining = names.values();
    const restoreNext = async () => {
      for (const filename of remaining) {
        await this.session
          .json("POST", "/files/restore", { json: { filename } })
          .catch((error) => toast(`${filename}: ${describe(error)}`));
      }
    };
    await Promise.all(Array.from({ length: RESTORERS }, restoreNext));
    await this.view.load();
  }
}

/** Ask for files, or for a folder. @param {boolean} isFolder @param {(files: FileList) => void} onFiles */
export function pickFiles(isFolder, onFiles) {
  const field = input({ type: "file", multiple: true, webkitdirectory: isFolder });
  field.addEventListener("change", () => field.files && onFiles(field.files));
  field.click();
}

/**
 * Ask for a name until `work` takes it. What is wrong with a name is shown beside it.
 * @param {string} title @param {string} label @param {string} value
 * @param {(name: string) => unknown} work throws where the name does not do
 * @returns {Promise<string | undefined>}
 */
async function askName(title, label, value, work) {
  const field = input({ value, required: true, maxlength: 1000, autocomplete: "off", spellcheck: "false" });
  const error = element("p", { class: "error", role: "alert" });
  const send = /** @type {HTMLButtonElement} */ (element("button", { class: "primary" }, title));
  field.addEventListener("focus", () => selectStem(field), { once: true });
  return /** @type {any} */ (
    await showDialog(title, (close) => [
      element(
        "form",
        {
          onsubmit: async (/** @type {Event} */ event) => {
            event.preventDefault();
            const name = field.value.normalize("NFC");
            send.disabled = true;
            error.textContent = "";
            try {
              await work(name);
              close(name);
            } catch (failure) {
              error.textContent = describe(failure);
              field.focus();
            } finally {
              send.disabled = false;
            }
          },
        },
        labelled(label, field),
        error,
        element(
          "div",
          { class: "buttons" },
          button(TEXT.cancel, () => close()),
          send,
        ),
      ),
    ])
  );
}

/** Select what people rename: the last segment of a name, without its extension. @param {HTMLInputElement} field */
function selectStem(field) {
  const first = field.value.lastIndexOf("/") + 1;
  const dot = field.value.lastIndexOf(".");
  field.setSelectionRange(first, dot > first ? dot : field.value.length);
}
