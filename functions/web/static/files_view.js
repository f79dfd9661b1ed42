// @ts-check
import { announce, button, element, focusView, input, keepFocus, showDialog, toast } from "./dom.js";
import { FileActions, pickFiles } from "./file_actions.js";
import { formatBytes, formatCount, formatTime } from "./format.js";
import { describe } from "./errors.js";
import { listFolder } from "./listing.js";
import { previewKind, showPreview } from "./preview.js";
import { share } from "./share_dialog.js";
import { TEXT } from "./strings.js";

const MAX_ENTRIES = 10_000;
const MAX_ROWS = 200;

/** @typedef {{write: boolean, share: boolean}} Rights what the token allows */
/** @typedef {{text: string, symbol: string, work: () => unknown, style?: string}} Action */

/** Files and folders below a prefix. */
export class FilesView {
  /**
   * @param {import("./api.js").Session} session
   * @param {{navigate: (prefix: string) => void, upload?: (files: FileList | File[], prefix: string) => void, rights: Rights, base?: string}} options `base`: the folder above which nothing is shown
   */
  constructor(session, { navigate, upload, rights, base = "" }) {
    this.session = session;
    this.actions = new FileActions(session, this);
    this.upload = upload;
    this.navigate = navigate;
    this.rights = rights;
    this.base = base;
    this.prefix = base;
    /** @type {any[]} */
    this.files = [];
    /** @type {string[]} */
    this.folders = [];
    this.isCut = false;
    this.filter = "";
    this.sort = "name";
    this.maxRows = MAX_ROWS;
    /** @type {Set<string>} */
    this.selected = new Set();
    this.root = element("section", { "aria-label": TEXT.files, tabindex: "-1" });
    this.loadNumber = 0;
  }

  /** @param {string} prefix */
  async open(prefix) {
    this.prefix = prefix;
    this.selected.clear();
    this.filter = "";
    this.maxRows = MAX_ROWS;
    await this.load();
    if (this.root.isConnected) focusView();
  }

  async load() {
    const number = (this.loadNumber += 1);
    const isCurrent = () => number === this.loadNumber;
    if (!this.root.querySelector("table")) {
      this.root.replaceChildren(this.#breadcrumbs(), element("p", { class: "muted" }, TEXT.loading));
    }
    try {
      const found = await listFolder(this.session, this.prefix, { maximum: MAX_ENTRIES, onPage: isCurrent });
      if (!isCurrent()) return;
      ({ files: this.files, folders: this.folders, isCut: this.isCut } = found);
    } catch (error) {
      this.root.replaceChildren(this.#breadcrumbs(), element("p", { class: "error", role: "alert" }, describe(error)));
      return;
    }
    this.render();
    announce(TEXT.entries(this.folders.length + this.files.length));
  }

  render() {
    keepFocus(this.root, () => this.#render());
  }

  #render() {
    const rows = this.#visible();
    const count = rows.folders.length + rows.files.length;
    const shown = [
      ...rows.folders.slice(0, this.maxRows).map((folder) => this.#folderRow(folder)),
      ...rows.files.slice(0, Math.max(0, this.maxRows - rows.folders.length)).map((file) => this.#fileRow(file)),
    ];
    const table = element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", { scope: "col", class: "select" }, this.#selectAll(rows)),
          this.#heading("name", TEXT.name, "name"),
          this.#heading("size", TEXT.size, "number"),
          this.#heading("time", TEXT.time, "wide"),
          element("th", { scope: "col" }, element("span", { class: "visually-hidden" }, TEXT.actions)),
        ),
      ),
      element("tbody", {}, ...shown),
    );
    this.root.replaceChildren(
      this.#breadcrumbs(),
      this.#toolbar(),
      this.isCut ? element("p", { class: "muted" }, TEXT.listCut(formatCount(MAX_ENTRIES))) : "",
      count
        ? table
        : element(
            "p",
            { class: "muted empty" },
            this.filter ? TEXT.noMatch : this.upload ? `${TEXT.emptyFolder} ${TEXT.dropHere}` : TEXT.emptyFolder,
          ),
      count > shown.length
        ? button(
            `${TEXT.more} (${formatCount(count - shown.length)})`,
            () => {
              this.maxRows += 1000;
              this.render();
            },
            { "data-key": "more" },
          )
        : "",
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
    const parts = this.prefix.slice(this.base.length).split("/").slice(0, -1);
    const items = parts.map((part, index) => {
      const prefix = `${this.base}${parts.slice(0, index + 1).join("/")}/`;
      const isCurrent = index === parts.length - 1;
      return element(
        "li",
        {},
        button(part, () => this.navigate(prefix), {
          class: "plain",
          "data-key": `crumb:${prefix}`,
          "aria-current": isCurrent ? "location" : null,
        }),
      );
    });
    const home = button(TEXT.home, () => this.navigate(this.base), {
      class: "plain",
      "data-key": "crumb:",
      "aria-current": parts.length ? null : "location",
    });
    return element(
      "nav",
      { "aria-label": TEXT.folder },
      element("ol", { class: "breadcrumbs" }, element("li", {}, home), ...items),
    );
  }

  #toolbar() {
    const filter = input({
      type: "search",
      class: "grow",
      placeholder: TEXT.filter,
      "aria-label": TEXT.filter,
      value: this.filter,
      "data-key": "filter",
      oninput: (/** @type {Event} */ event) => {
        this.filter = /** @type {HTMLInputElement} */ (event.target).value;
        this.render();
      },
    });
    const { upload } = this;
    const isFilled = this.files.length + this.folders.length > 0;
    return element(
      "div",
      { class: "toolbar" },
      upload
        ? button(TEXT.uploadFiles, () => pickFiles(false, (files) => upload(files, this.prefix)), {
            class: "primary",
            "data-key": "upload",
          })
        : null,
      upload
        ? button(TEXT.uploadFolder, () => pickFiles(true, (files) => upload(files, this.prefix)), {
            "data-key": "upload-folder",
          })
        : null,
      filter,
      ...(this.selected.size
        ? this.#selectionActions()
        : [
            this.rights.share && this.prefix
              ? button(TEXT.shareFolder, () => void share(this.session, { prefix: this.prefix }), {
                  "data-key": "share-folder",
                })
              : null,
            isFilled
              ? button(
                  TEXT.downloadZip,
                  () => void this.actions.zip([...this.folders, ...this.files.map((file) => file.filename)]),
                  { "data-key": "zip" },
                )
              : null,
          ]),
    );
  }

  #selectionActions() {
    const names = [...this.selected];
    return [
      button(`${TEXT.downloadZip} (${names.length})`, () => void this.actions.zip(names), { "data-key": "zip" }),
      this.rights.write
        ? button(`${TEXT.delete} (${names.length})`, () => this.#run(() => this.actions.delete(names)), {
            class: "danger",
            "data-key": "delete",
          })
        : null,
    ];
  }

  /** @param {{files: any[], folders: string[]}} rows */
  #selectAll(rows) {
    const names = [...rows.folders, ...rows.files.map((file) => file.filename)];
    return input({
      type: "checkbox",
      "aria-label": TEXT.selectAll,
      "data-key": "select-all",
      checked: names.length > 0 && names.every((name) => this.selected.has(name)),
      onchange: (/** @type {Event} */ event) => {
        const isOn = /** @type {HTMLInputElement} */ (event.target).checked;
        for (const name of names) isOn ? this.selected.add(name) : this.selected.delete(name);
        this.render();
      },
    });
  }

  /** @param {string} key @param {string} label @param {string} style */
  #heading(key, label, style) {
    const isSorted = this.sort === key;
    return element(
      "th",
      { scope: "col", class: style, "aria-sort": isSorted ? (key === "name" ? "ascending" : "descending") : "none" },
      button(
        isSorted ? `${label} ${key === "name" ? "↑" : "↓"}` : label,
        () => {
          this.sort = key;
          this.render();
        },
        { class: "plain", "data-key": `sort:${key}`, "aria-label": label },
      ),
    );
  }

  /** @param {string} name @param {string} shown @param {HTMLElement} open @param {HTMLElement[]} cells @param {Action[]} actions */
  #row(name, shown, open, cells, actions) {
    const isSelected = this.selected.has(name);
    const select = input({
      type: "checkbox",
      "aria-label": `${TEXT.select}: ${shown}`,
      "data-key": `select:${name}`,
      checked: isSelected,
      onchange: () => {
        isSelected ? this.selected.delete(name) : this.selected.add(name);
        this.render();
      },
    });
    const buttons = actions.map(({ text, symbol, work, style }) =>
      button(symbol, () => this.#run(work), {
        "aria-label": `${text}: ${shown}`,
        title: text,
        class: `icon ${style ?? ""}`,
        "data-key": `${text}:${name}`,
      }),
    );
    const menu = button("⋯", () => void this.#menu(shown, actions), {
      "aria-label": `${TEXT.actions}: ${shown}`,
      title: TEXT.actions,
      class: "icon",
      "data-key": `menu:${name}`,
    });
    return element(
      "tr",
      { class: isSelected ? "selected" : null },
      element("td", { class: "select" }, select),
      element("td", { class: "text" }, open),
      ...cells,
      element(
        "td",
        { class: "actions" },
        element("span", { class: "wide-actions" }, ...buttons),
        element("span", { class: "narrow-actions" }, menu),
      ),
    );
  }

  /** @param {string} folder */
  #folderRow(folder) {
    const shown = folder.slice(this.prefix.length);
    const open = button(shown, () => this.navigate(folder), { class: "plain folder", "data-key": `open:${folder}` });
    /** @type {Action[]} */
    const actions = [{ text: TEXT.downloadZip, symbol: "⤓", work: () => this.actions.zip([folder]) }];
    if (this.rights.share) {
      actions.push({ text: TEXT.share, symbol: "↗", work: () => share(this.session, { prefix: folder }) });
    }
    if (this.rights.write) {
      actions.push({ text: TEXT.moveFolder, symbol: "✎", work: () => this.actions.moveFolder(folder) });
      actions.push({ text: TEXT.delete, symbol: "✕", work: () => this.actions.delete([folder]), style: "danger" });
    }
    return this.#row(
      folder,
      shown,
      open,
      [element("td", { class: "number muted" }, TEXT.folder), element("td", { class: "wide" })],
      actions,
    );
  }

  /** @param {any} file */
  #fileRow(file) {
    const shown = file.filename.slice(this.prefix.length);
    const canPreview = previewKind(file) !== null;
    const open = button(
      shown,
      () => this.#run(() => (canPreview ? showPreview(this.session, file) : this.actions.download(file))),
      { class: "plain", title: canPreview ? TEXT.preview : TEXT.download, "data-key": `open:${file.filename}` },
    );
    /** @type {Action[]} */
    const actions = [{ text: TEXT.download, symbol: "⤓", work: () => this.actions.download(file) }];
    if (this.rights.share) {
      actions.push({ text: TEXT.share, symbol: "↗", work: () => share(this.session, { filename: file.filename }) });
    }
    if (this.rights.write) {
      actions.push({ text: TEXT.move, symbol: "✎", work: () => this.actions.move(file) });
      actions.push({
        text: TEXT.delete,
        symbol: "✕",
        work: () => this.actions.delete([file.filename]),
        style: "danger",
      });
    }
    return this.#row(
      file.filename,
      shown,
      open,
      [
        element("td", { class: "number" }, formatBytes(file.size)),
        element("td", { class: "wide nowrap" }, formatTime(file.uploaded_at)),
      ],
      actions,
    );
  }

  /** @param {() => unknown} work */
  #run(work) {
    void (async () => work())().catch((error) => toast(describe(error)));
  }

  /** @param {string} shown @param {Action[]} actions */
  async #menu(shown, actions) {
    const work = /** @type {(() => unknown) | undefined} */ (
      await showDialog(shown, (close) => [
        element(
          "div",
          { class: "menu" },
          ...actions.map((action) => button(action.text, () => close(action.work), { class: action.style ?? "" })),
          button(TEXT.cancel, () => close()),
        ),
      ])
    );
    if (work) this.#run(work);
  }
}
