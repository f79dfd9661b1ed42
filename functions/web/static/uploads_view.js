// @ts-check
import { announce, button, element, toast } from "./dom.js";
import { describe } from "./files_view.js";
import { formatBytes, formatDuration } from "./format.js";
import { TEXT } from "./strings.js";
import { Transfer, TransferList } from "./transfers.js";
import * as store from "./upload_store.js";
import { filePath } from "./api.js";

const REFRESH_MS = 5_000;

/** Uploads of this page, and those that are in progress elsewhere. */
export class UploadsView {
  /** @param {import("./api.js").Session} session @param {() => void} onComplete called when a file of this page is complete */
  constructor(session, onComplete) {
    this.session = session;
    this.onComplete = onComplete;
    this.root = element("section", { "aria-label": TEXT.uploads });
    this.here = element("ul", { class: "cards" });
    this.elsewhere = element("div");
    this.root.append(element("h2", {}, TEXT.uploadHere), this.here, element("h2", {}, TEXT.otherUploads), this.elsewhere);
    this.list = new TransferList(() => this.#schedule());
    this.isScheduled = false;
    this.completed = 0;
    this.isOpen = false;
    this.#render();
  }

  /** @param {Iterable<File>} files @param {string} prefix @param {Map<File, FileSystemFileHandle>} [handles] */
  add(files, prefix, handles) {
    for (const file of files) {
      const path = file.webkitRelativePath || /** @type {any} */ (file).ferryPath || file.name;
      this.list.add(new Transfer(this.session, file, `${prefix}${path}`.normalize("NFC"), () => this.#schedule(), handles?.get(file)));
    }
  }

  get isBusy() {
    return this.list.transfers.some((transfer) => ["sending", "completing", "waiting"].includes(transfer.state));
  }

  open() {
    this.isOpen = true;
    void this.#refresh();
  }

  close() {
    this.isOpen = false;
  }

  #schedule() {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setTimeout(() => {
      this.isScheduled = false;
      this.#render();
    }, 200);
  }

  #render() {
    const done = this.list.transfers.filter((transfer) => transfer.state === "complete").length;
    if (done > this.completed) {
      announce(`${done} ${TEXT.complete}`);
      this.onComplete();
    }
    this.completed = done;
    const focused = document.activeElement?.getAttribute("data-key");
    this.here.replaceChildren(...(this.list.transfers.length ? this.list.transfers.map((transfer) => this.#card(transfer)) : [element("li", { class: "muted" }, TEXT.noUploads)]));
    if (focused) /** @type {HTMLElement | null} */ (this.here.querySelector(`[data-key="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {Transfer} transfer */
  #card(transfer) {
    const label = /** @type {string} */ (TEXT[/** @type {keyof typeof TEXT} */ (transfer.state)] ?? transfer.state);
    const left = transfer.secondsLeft === null ? "" : `, ${formatDuration(transfer.secondsLeft)}`;
    const rate = transfer.rate ? ` · ${formatBytes(transfer.rate)}/s${left}` : "";
    const action = (/** @type {string} */ text, /** @type {() => void} */ work, style = "") =>
      button(text, work, { class: style, "aria-label": `${text}: ${transfer.name}`, "data-key": `${text}:${transfer.name}` });
    const again = () => {
      transfer.set("waiting");
      this.list.schedule();
    };
    const buttons = [];
    if (transfer.state === "sending" || transfer.state === "waiting") buttons.push(action(TEXT.pause, () => transfer.pause()));
    if (transfer.state === "paused") buttons.push(action(TEXT.resume, again, "primary"));
    if (transfer.state === "failed") buttons.push(action(TEXT.retry, again, "primary"));
    if (transfer.state === "conflict") {
      buttons.push(action(TEXT.replace, () => {
        transfer.ifExists = "replace";
        again();
      }));
    }
    if (!["complete", "cancelled", "completing"].includes(transfer.state)) buttons.push(action(TEXT.cancel, () => void transfer.cancel(), "danger"));
    return element("li", { class: "card" },
      element("div", { class: "row" }, element("strong", {}, transfer.name), element("span", {}, ...buttons.flatMap((each) => [each, " "]))),
      element("progress", { max: transfer.file.size || 1, value: transfer.file.size ? transfer.doneBytes : Number(transfer.state === "complete"), "aria-label": transfer.name }),
      element("div", { class: transfer.error ? "error" : "muted" },
        `${label} · ${formatBytes(transfer.doneBytes)} / ${formatBytes(transfer.file.size)}${rate}${transfer.error && transfer.state !== "conflict" ? ` · ${transfer.error}` : ""}`));
  }

  async #refresh() {
    while (this.isOpen) {
      try {
        const body = await this.session.json("GET", "/status");
        const own = new Set(this.list.transfers.filter((t) => t.state !== "cancelled").map((t) => t.name));
        const others = body.uploads.filter((/** @type {any} */ upload) => !own.has(upload.filename));
        const saved = new Map((await store.all()).map((upload) => [upload.uploadId, upload]));
        this.elsewhere.replaceChildren(others.length
          ? element("ul", { class: "cards" }, ...others.map((/** @type {any} */ upload) => this.#otherCard(upload, saved.get(upload.upload_id))))
          : element("p", { class: "muted" }, TEXT.noUploads));
      } catch (error) {
        this.elsewhere.replaceChildren(element("p", { class: "error" }, describe(error)));
      }
      await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
    }
  }

  /** @param {any} upload @param {store.SavedUpload | undefined} saved */
  #otherCard(upload, saved) {
    return element("li", { class: "card" },
      element("div", { class: "row" }, element("strong", {}, upload.filename), element("span", {},
        saved ? button(TEXT.resume, () => void this.#resume(saved), { class: "primary", "aria-label": `${TEXT.resume}: ${upload.filename}` }) : null, " ",
        button(TEXT.cancelUpload, () => void this.#cancel(upload), { class: "danger", "aria-label": `${TEXT.cancelUpload}: ${upload.filename}` }))),
      element("progress", { max: upload.size || 1, value: upload.received_bytes, "aria-label": upload.filename }),
      element("div", { class: "muted" }, `${upload.percent} % · ${formatBytes(upload.received_bytes)} / ${formatBytes(upload.size)}`));
  }

  /** @param {store.SavedUpload} saved */
  async #resume(saved) {
    const file = await this.#fileOf(saved);
    if (!file) return;
    if (file.name !== saved.fileName || file.size !== saved.size || file.lastModified !== saved.lastModified) {
      toast(TEXT.chooseAgain);
      return;
    }
    this.list.add(new Transfer(this.session, file, saved.name, () => this.#schedule(), saved.handle));
  }

  /** @param {store.SavedUpload} saved @returns {Promise<File | null>} */
  async #fileOf(saved) {
    const handle = /** @type {any} */ (saved.handle);
    if (handle && (await handle.requestPermission({ mode: "read" })) === "granted") return handle.getFile();
    toast(`${TEXT.chooseAgain} (${saved.fileName})`);
    return new Promise((resolve) => {
      const input = /** @type {HTMLInputElement} */ (element("input", { type: "file" }));
      input.addEventListener("change", () => resolve(input.files?.[0] ?? null));
      input.addEventListener("cancel", () => resolve(null));
      input.click();
    });
  }

  /** @param {any} upload */
  async #cancel(upload) {
    await this.session.request("DELETE", filePath("/upload", upload.filename, { upload_id: upload.upload_id })).catch((error) => toast(describe(error)));
    await store.forget(upload.filename);
  }
}
