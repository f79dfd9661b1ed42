// @ts-check
import { filePath } from "./api.js";
import { button, confirmed, dialogue, element, input, labelled, saveAs, toast } from "./dom.js";
import { moveFolder } from "./folder_move.js";
import { describe, listFolder } from "./listing.js";
import { TEXT } from "./strings.js";
import { saveZip } from "./zip_download.js";

const DELETE_BATCH = 100;

/** What one can do with the files and folders of a view. */
export class FileActions {
  /** @param {import("./api.js").Session} session @param {import("./files_view.js").FilesView} view */
  constructor(session, view) {
    this.session = session;
    this.view = view;
  }

  /** @param {any} file */
  async download(file) {
    const link = await this.session.json("GET", filePath("/download", file.filename, { redirect: "false" }));
    saveAs(link.url);
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
    const to = await askName(TEXT.move, TEXT.newName, file.filename);
    if (!to || to === file.filename) return;
    await this.session.json("POST", "/files/move", { json: { from: file.filename, to, etag: file.etag } });
    await this.view.load();
    toast(TEXT.moved);
  }

  /** @param {string} folder */
  async moveFolder(folder) {
    const given = await askName(TEXT.moveFolder, TEXT.folderPath, folder.slice(0, -1));
    if (!given) return;
    const to = given.endsWith("/") ? given : `${given}/`;
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
    for (const filename of names) {
      await this.session
        .json("POST", "/files/restore", { json: { filename } })
        .catch((error) => toast(describe(error)));
    }
    await this.view.load();
  }
}

/** Ask for files, or for a folder. @param {boolean} isFolder @param {(files: FileList) => void} onFiles */
export function pickFiles(isFolder, onFiles) {
  const field = input({ type: "file", multiple: true, webkitdirectory: isFolder });
  field.addEventListener("change", () => field.files && onFiles(field.files));
  field.click();
}

/** @param {string} title @param {string} label @param {string} value @returns {Promise<string | undefined>} */
async function askName(title, label, value) {
  const field = input({ value, required: true, maxlength: 1000, autocomplete: "off", spellcheck: "false" });
  return /** @type {any} */ (
    await dialogue(title, (close) => [
      element(
        "form",
        {
          onsubmit: (/** @type {Event} */ event) => {
            event.preventDefault();
            close(field.value.normalize("NFC"));
          },
        },
        labelled(label, field),
        element(
          "div",
          { class: "buttons" },
          button(TEXT.cancel, () => close()),
          element("button", { class: "primary" }, title),
        ),
      ),
    ])
  );
}
