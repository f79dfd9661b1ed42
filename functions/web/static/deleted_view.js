// @ts-check
import { button, element, toast } from "./dom.js";
import { formatBytes, formatTime } from "./format.js";
import { describe } from "./errors.js";
import { pages } from "./links_view.js";
import { TEXT } from "./strings.js";

/** Files that can be restored. */
export class DeletedView {
  /** @param {import("./api.js").Session} session */
  constructor(session) {
    this.session = session;
    this.root = element("section", { "aria-label": TEXT.deleted, tabindex: "-1" });
  }

  async load() {
    const heading = (/** @type {string} */ text, /** @type {string} */ style) =>
      element("th", { scope: "col", class: style }, text);
    const body = element("tbody");
    const table = element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          heading(TEXT.name, ""),
          heading(TEXT.size, "number"),
          heading(TEXT.deletedAt, "wide"),
          heading(TEXT.restorableUntil, "wide"),
          element("th", { scope: "col" }, element("span", { class: "visually-hidden" }, TEXT.restore)),
        ),
      ),
      body,
    );
    await pages(this.root, table, element("p", { class: "muted empty" }, TEXT.noDeleted), async (cursor) => {
      const page = await this.session.json(
        "GET",
        `/files?${new URLSearchParams({ deleted: "true", limit: "200", ...(cursor ? { cursor } : {}) })}`,
      );
      body.append(...page.files.map((/** @type {any} */ file) => this.#row(file)));
      return page.cursor;
    });
  }

  /** @param {any} file */
  #row(file) {
    return element(
      "tr",
      {},
      element("td", { class: "text" }, file.filename),
      element("td", { class: "number" }, formatBytes(file.size)),
      element("td", { class: "wide nowrap" }, formatTime(file.deleted_at)),
      element("td", { class: "wide nowrap" }, formatTime(file.restorable_until)),
      element(
        "td",
        { class: "actions" },
        button(TEXT.restore, () => void this.#restore(file), {
          "aria-label": `${TEXT.restore}: ${file.filename}`,
          "data-key": `restore:${file.upload_id}`,
        }),
      ),
    );
  }

  /** @param {any} file */
  async #restore(file) {
    try {
      await this.session.json("POST", "/files/restore", {
        json: { filename: file.filename, upload_id: file.upload_id },
      });
      await this.load();
      toast(TEXT.restored);
      this.root.focus();
    } catch (error) {
      toast(describe(error));
    }
  }
}
