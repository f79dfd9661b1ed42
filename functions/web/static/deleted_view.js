// @ts-check
import { button, element, toast } from "./dom.js";
import { describe } from "./files_view.js";
import { formatBytes, formatTime } from "./format.js";
import { TEXT } from "./strings.js";

/** Files that can be restored. */
export class DeletedView {
  /** @param {import("./api.js").Session} session */
  constructor(session) {
    this.session = session;
    this.root = element("section", { "aria-label": TEXT.deleted });
  }

  async load() {
    try {
      const page = await this.session.json("GET", "/files?deleted=true&limit=1000");
      this.root.replaceChildren(page.files.length ? this.#table(page.files) : element("p", { class: "muted" }, TEXT.noDeleted));
    } catch (error) {
      this.root.replaceChildren(element("p", { class: "error", role: "alert" }, describe(error)));
    }
  }

  /** @param {any[]} files */
  #table(files) {
    const row = (/** @type {any} */ file) => element("tr", {},
      element("td", {}, file.filename), element("td", { class: "number" }, formatBytes(file.size)),
      element("td", { class: "wide" }, formatTime(file.deleted_at)), element("td", { class: "wide" }, formatTime(file.restorable_until)),
      element("td", { class: "actions" }, button(TEXT.restore, () => void this.#restore(file), { "aria-label": `${TEXT.restore}: ${file.filename}` })));
    const heading = (/** @type {string} */ text, /** @type {string} */ style) => element("th", { scope: "col", class: style }, text);
    return element("table", {},
      element("thead", {}, element("tr", {}, heading(TEXT.name, ""), heading(TEXT.size, "number"), heading(TEXT.deletedAt, "wide"),
        heading(TEXT.restorableUntil, "wide"), element("th", { scope: "col" }, element("span", { class: "visually-hidden" }, TEXT.restore)))),
      element("tbody", {}, ...files.map(row)));
  }

  /** @param {any} file */
  async #restore(file) {
    try {
      await this.session.json("POST", "/files/restore", { json: { filename: file.filename, upload_id: file.upload_id } });
      toast(TEXT.restored);
    } catch (error) {
      toast(describe(error));
    }
    await this.load();
  }
}
