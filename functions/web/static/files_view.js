// @ts-check
import { ApiError, filePath } from "./api.js";
import { announce, button, dialogue, element, toast } from "./dom.js";
import { formatBytes, formatTime } from "./format.js";
import { previewKind, showPreview } from "./preview.js";
import { TEXT } from "./strings.js";

const PAGE = 1000;
const MAX_ENTRIES = 10_000;
const DELETE_BATCH = 100;

/** Files and folders below a prefix. */
export class FilesView {
  /** @param {import("./api.js").Session} session @param {(files: FileList | File[], prefix: string) => void} upload @param {(prefix: string) => void} navigate */
  constructor(session, upload, navigate) {
    this.session = session;
    this.upload = upload;
    this.navigate = navigate;
    this.prefix = "";
    /** @type {any[]} */
    this.files = [];
    /** @type {string[]} */
    this.folders = [];
    this.isCut = false;
    this.filter = "";
    this.sort = "name";
    /** @type {Set<string>} */
    this.selected = new Set();
    this.root = element("section", { "aria-label": TEXT.files });
    this.loadNumber = 0;
  }

  /** @param {string} prefix */
  async open(prefix) {
    this.prefix = prefix;
    this.selected.clear();
    this.filter = "";
    await this.load();
  }

  async load() {
    const number = (this.loadNumber += 1);
    this.root.replaceChildren(this.#breadcrumbs(), element("p", { class: "muted" }, TEXT.loading));
    /** @type {any[]} */
    const files = [];
    /** @type {string[]} */
    const folders = [];
    let cursor = "";
    try {
      do {
        const query = new URLSearchParams({ prefix: this.prefix, delimiter: "/", limit: String(PAGE), ...(cursor ? { cursor } : {}) });
        const page = await this.session.json("GET", `/files?${query}`);
        if (number !== this.loadNumber) return;
        files.push(...page.files);
        folders.push(...page.prefixes);
        cursor = page.cursor ?? "";
      } while (cursor && files.length + folders.length < MAX_ENTRIES);
    } catch (error) {
      this.root.replaceChildren(this.#breadcrumbs(), element("p", { class: "error", role: "alert" }, describe(error)));
      return;
    }
    this.files = files;
    this.folders = folders;
    this.isCut = Boolean(cursor);
    this.render();
    announce(`${folders.length + files.length}`);
  }

  render() {
    const rows = this.#visible();
    const table = element("table", {},
      element("thead", {}, element("tr", {},
        element("th", { scope: "col" }, this.#selectAll(rows)),
        this.#heading("name", TEXT.name, ""), this.#heading("size", TEXT.size, "number"),
        this.#heading("time", TEXT.time, "wide"), element("th", { scope: "col" }, element("span", { class: "visually-hidden" }, TEXT.open)))),
      element("tbody", {}, ...rows.folders.map((folder) => this.#folderRow(folder)), ...rows.files.map((file) => this.#fileRow(file))));
    const isEmpty = !rows.folders.length && !rows.files.length;
    this.root.replaceChildren(
      this.#breadcrumbs(), this.#toolbar(),
      this.isCut ? element("p", { class: "muted" }, TEXT.listCut(MAX_ENTRIES)) : "",
      isEmpty ? element("p", { class: "muted" }, `${TEXT.emptyFolder} ${TEXT.dropHere}`) : table,
    );
  }

  #visible() {
    const text = this.filter.toLowerCase();
    const matches = (/** @type {string} */ name) => name.slice(this.prefix.length).toLowerCase().includes(text);
    const files = this.files.filter((file) => matches(file.filename));
    if (this.sort === "size") files.sort((a, b) => b.size - a.size);
    if (this.sort === "time") files.sort((a, b) => (a.uploaded_at < b.uploaded_at ? 1 : -1));
    return { folders: this.folders.filter(matches), files };
  }

  #breadcrumbs() {
    const parts = this.prefix.split("/").slice(0, -1);
    const items = parts.map((part, index) => {
      const prefix = `${parts.slice(0, index + 1).join("/")}/`;
      return element("li", {}, button(part, () => this.navigate(prefix), { class: "plain" }));
    });
    return element("nav", { "aria-label": TEXT.folder },
      element("ol", { class: "breadcrumbs" }, element("li", {}, button(TEXT.home, () => this.navigate(""), { class: "plain" })), ...items));
  }

  #toolbar() {
    const pick = (/** @type {boolean} */ folder) => {
      const input = /** @type {HTMLInputElement} */ (element("input", { type: "file", multiple: true, webkitdirectory: folder }));
      input.addEventListener("change", () => input.files && this.upload(input.files, this.prefix));
      input.click();
    };
    const filter = /** @type {HTMLInputElement} */ (element("input", {
      type: "search", class: "grow", placeholder: TEXT.filter, "aria-label": TEXT.filter, value: this.filter,
      oninput: (/** @type {Event} */ event) => {
        this.filter = /** @type {HTMLInputElement} */ (event.target).value;
        this.render();
        const field = /** @type {HTMLInputElement | null} */ (this.root.querySelector("input[type=search]"));
        field?.focus();
        field?.setSelectionRange(this.filter.length, this.filter.length);
      },
    }));
    return element("div", { class: "toolbar" },
      button(TEXT.uploadFiles, () => pick(false), { class: "primary" }), button(TEXT.uploadFolder, () => pick(true)), filter,
      this.selected.size ? button(`${TEXT.delete} (${this.selected.size})`, () => this.#delete([...this.selected]), { class: "danger" }) : null);
  }

  /** @param {{files: any[]}} rows */
  #selectAll(rows) {
    return element("input", {
      type: "checkbox", "aria-label": TEXT.selectAll, checked: rows.files.length > 0 && rows.files.every((file) => this.selected.has(file.filename)),
      onchange: (/** @type {Event} */ event) => {
        const isOn = /** @type {HTMLInputElement} */ (event.target).checked;
        for (const file of rows.files) isOn ? this.selected.add(file.filename) : this.selected.delete(file.filename);
        this.render();
      },
    });
  }

  /** @param {string} key @param {string} label @param {string} style */
  #heading(key, label, style) {
    const isSorted = this.sort === key;
    return element("th", { scope: "col", class: style, "aria-sort": isSorted ? (key === "name" ? "ascending" : "descending") : "none" },
      button(label, () => {
        this.sort = key;
        this.render();
      }, { class: "plain" }));
  }

  /** @param {string} folder */
  #folderRow(folder) {
    return element("tr", {}, element("td"),
      element("td", {}, button(folder.slice(this.prefix.length), () => this.navigate(folder), { class: "plain" })),
      element("td", { class: "number muted" }, TEXT.folder), element("td", { class: "wide" }), element("td"));
  }

  /** @param {any} file */
  #fileRow(file) {
    const shown = file.filename.slice(this.prefix.length);
    const isSelected = this.selected.has(file.filename);
    const canPreview = previewKind(file.content_type) !== null;
    const act = (/** @type {() => Promise<unknown>} */ work) => () => void work().catch((error) => toast(describe(error)));
    return element("tr", { "aria-selected": String(isSelected) },
      element("td", {}, element("input", {
        type: "checkbox", "aria-label": shown, checked: isSelected,
        onchange: () => {
          isSelected ? this.selected.delete(file.filename) : this.selected.add(file.filename);
          this.render();
        },
      })),
      element("td", {}, button(shown, act(() => (canPreview ? showPreview(this.session, file) : this.#download(file))), { class: "plain", title: canPreview ? TEXT.preview : TEXT.download })),
      element("td", { class: "number" }, formatBytes(file.size)),
      element("td", { class: "wide" }, formatTime(file.uploaded_at)),
      element("td", { class: "actions" },
        button("⤓", act(() => this.#download(file)), { "aria-label": `${TEXT.download}: ${shown}`, title: TEXT.download }),
        button("✎", act(() => this.#move(file)), { "aria-label": `${TEXT.move}: ${shown}`, title: TEXT.move }),
        button("✕", act(() => this.#delete([file.filename])), { "aria-label": `${TEXT.delete}: ${shown}`, title: TEXT.delete, class: "danger" })));
  }

  /** @param {any} file */
  async #download(file) {
    const link = await this.session.json("GET", filePath("/download", file.filename, { redirect: "false" }));
    const anchor = element("a", { href: link.url, download: "", rel: "noreferrer" });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
  }

  /** @param {any} file */
  async #move(file) {
    const input = /** @type {HTMLInputElement} */ (element("input", { value: file.filename, required: true }));
    const to = await dialogue(TEXT.move, (close) => [
      element("form", {
        method: "dialog",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          close(input.value);
        },
      },
      element("label", {}, TEXT.newName, input),
      element("div", { class: "buttons" }, button(TEXT.cancel, () => close()), element("button", { class: "primary" }, TEXT.move))),
    ]);
    if (!to || to === file.filename) return;
    await this.session.json("POST", "/files/move", { json: { from: file.filename, to, etag: file.etag } });
    toast(TEXT.moved);
    await this.load();
  }

  /** @param {string[]} names */
  async #delete(names) {
    const isSure = names.length === 1 || (await dialogue(TEXT.deleteSome(names.length), (close) => [
      element("div", { class: "buttons" }, button(TEXT.cancel, () => close()), button(TEXT.delete, () => close(true), { class: "danger" })),
    ]));
    if (!isSure) return;
    /** @type {string[]} */
    const deleted = [];
    for (let first = 0; first < names.length; first += DELETE_BATCH) {
      const body = await this.session.json("POST", "/files/delete", { json: { filenames: names.slice(first, first + DELETE_BATCH) } });
      deleted.push(...body.deleted);
    }
    for (const name of names) this.selected.delete(name);
    await this.load();
    toast(TEXT.deletedFiles(deleted.length), TEXT.undo, () => void this.#restore(deleted));
  }

  /** @param {string[]} names */
  async #restore(names) {
    for (const filename of names) {
      await this.session.json("POST", "/files/restore", { json: { filename } }).catch((error) => toast(describe(error)));
    }
    await this.load();
  }
}

/** @param {unknown} error @returns {string} */
export function describe(error) {
  if (error instanceof ApiError && error.status === 403) return error.code === "insufficient_scope" ? TEXT.accessDenied : error.message;
  return error instanceof Error ? error.message : String(error);
}
