// @ts-check
import { filePath, sleep } from "./api.js";
import { announce, button, element, input, keepFocus, toast } from "./dom.js";
import { formatBytes, formatRate } from "./format.js";
import { describe } from "./errors.js";
import { Rate } from "./rate.js";
import { TransferCard } from "./transfer_card.js";
import { Transfer, TransferList } from "./transfers.js";
import * as store from "./upload_store.js";
import { TEXT } from "./strings.js";

const REFRESH_MS = 5_000;
const MIN_REFRESH_MS = 500;
const RENDER_MS = 200;

/** Uploads of this page, and those that can be resumed. */
export class UploadsView {
  /**
   * @param {import("./api.js").Session} session
   * @param {() => void} onComplete called when a file of this page is complete
   * @param {{canList: boolean, base?: string}} options `canList`: the service lists uploads in progress, else this browser's own are shown; `base`: a folder that is not shown
   */
  constructor(session, onComplete, { canList, base = "" }) {
    this.base = base;
    this.session = session;
    this.onComplete = onComplete;
    this.canList = canList;
    this.here = element("ul", { class: "cards" });
    this.empty = element("p", { class: "muted" }, TEXT.noUploads);
    this.elsewhere = element("section", {
      "aria-label": canList ? TEXT.otherUploads : TEXT.incomplete,
      tabindex: "-1",
    });
    this.root = element(
      "section",
      { "aria-label": TEXT.uploads, tabindex: "-1" },
      element("h2", {}, TEXT.uploadHere),
      this.empty,
      this.here,
      this.elsewhere,
    );
    this.list = new TransferList(() => this.#schedule());
    /** @type {Map<Transfer, TransferCard>} */
    this.cards = new Map();
    this.isScheduled = false;
    this.completed = 0;
    this.openNumber = 0;
    this.shown = "";
    /** Rates of uploads that others send, by upload id. @type {Map<string, Rate>} */
    this.rates = new Map();
  }

  /** @param {Iterable<File>} files @param {string} prefix @param {Map<File, FileSystemFileHandle>} [handles] */
  add(files, prefix, handles) {
    /** @type {string[]} */
    const repeated = [];
    for (const file of files) {
      const path = file.webkitRelativePath || /** @type {any} */ (file).ferryPath || file.name;
      const name = `${prefix}${path}`.normalize("NFC");
      if (this.#send(file, name, handles?.get(file))) repeated.push(name.slice(this.base.length));
    }
    if (repeated.length) toast(TEXT.sameName(repeated.length, repeated[0]));
  }

  /** @param {File} file @param {string} name @param {FileSystemFileHandle} [handle] @returns {boolean} whether it waits for another file of this name */
  #send(file, name, handle) {
    return this.list.add(new Transfer(this.session, file, name, () => this.#schedule(), handle));
  }

  get isBusy() {
    return this.list.transfers.some((transfer) => transfer.isActive || transfer.state === "waiting");
  }

  open() {
    void this.#refresh((this.openNumber += 1));
  }

  close() {
    this.openNumber += 1;
  }

  #schedule() {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setTimeout(() => {
      this.isScheduled = false;
      this.#render();
    }, RENDER_MS);
  }

  #render() {
    const { transfers } = this.list;
    const done = transfers.filter((transfer) => transfer.state === "complete").length;
    if (done > this.completed) {
      announce(TEXT.completed(done, transfers.length));
      this.onComplete();
      void this.#showSaved();
    }
    this.completed = done;
    this.empty.hidden = transfers.length > 0;
    for (const [transfer, card] of this.cards) {
      if (transfers.includes(transfer)) continue;
      card.root.remove();
      this.cards.delete(transfer);
    }
    for (const transfer of transfers) {
      let card = this.cards.get(transfer);
      if (!card) {
        card = new TransferCard(transfer, this.list, transfer.name.slice(this.base.length));
        this.cards.set(transfer, card);
        this.here.append(card.root);
      }
      card.update();
    }
  }

  /** @param {number} number */
  async #refresh(number) {
    while (number === this.openNumber) {
      const uploads = await this.#showSaved();
      if (!this.canList) return;
      await this.#waitForChange(uploads);
    }
  }

  /** Return when the upload that changed last changes again, and at the latest after some seconds. @param {any[]} uploads */
  async #waitForChange(uploads) {
    const controller = new AbortController();
    const latest = uploads.reduce((a, b) => (a && a.updated_at > b.updated_at ? a : b), null);
    const waits = [sleep(REFRESH_MS)];
    if (latest) {
      const query = { upload_id: latest.upload_id, since: String(latest.version), wait: "20" };
      const { signal } = controller;
      const change = this.session.json("GET", filePath("/status", latest.filename, query), { signal });
      waits.push(change.then(() => sleep(MIN_REFRESH_MS)).catch(() => sleep(REFRESH_MS)));
    }
    await Promise.race(waits);
    controller.abort();
  }

  /** @returns {Promise<any[]>} uploads that this page does not send */
  async #showSaved() {
    try {
      const saved = await store.all(this.session.scope);
      const byId = new Map(saved.map((upload) => [upload.uploadId, upload]));
      /** @type {any[]} */
      const uploads = this.canList
        ? (await this.session.json("GET", "/status")).uploads
        : saved.map((upload) => ({ filename: upload.name, upload_id: upload.uploadId, size: upload.size }));
      const transfers = this.list.transfers.filter((transfer) => transfer.state !== "cancelled");
      const own = new Set(transfers.flatMap((transfer) => [transfer.name, transfer.finalName]));
      const others = uploads.filter((upload) => !own.has(upload.filename));
      this.#measure(others);
      const shown = others.map((upload) => [
        upload.upload_id,
        upload.received_bytes,
        byId.has(upload.upload_id),
        Math.round(this.rates.get(upload.upload_id)?.bytesPerSecond ?? 0),
      ]);
      if (JSON.stringify(shown) === this.shown) return others;
      this.shown = JSON.stringify(shown);
      const cards = others.map((upload) => this.#otherCard(upload, byId.get(upload.upload_id)));
      keepFocus(this.elsewhere, () =>
        this.elsewhere.replaceChildren(
          ...(cards.length
            ? [
                element("h2", {}, this.canList ? TEXT.otherUploads : TEXT.incomplete),
                element("ul", { class: "cards" }, ...cards),
              ]
            : []),
        ),
      );
      return others;
    } catch (error) {
      this.shown = "";
      this.elsewhere.replaceChildren(element("p", { class: "error" }, describe(error)));
      return [];
    }
  }

  /** Note what each of these uploads has now. @param {any[]} uploads */
  #measure(uploads) {
    const rates = new Map();
    for (const { upload_id: id, received_bytes: bytes } of uploads) {
      const rate = this.rates.get(id) ?? new Rate();
      if (bytes !== undefined) rate.add(bytes);
      rates.set(id, rate);
    }
    this.rates = rates;
  }

  /** @param {any} upload @param {store.SavedUpload | undefined} saved */
  #otherCard(upload, saved) {
    const name = upload.filename.slice(this.base.length);
    const known =
      upload.received_bytes === undefined
        ? formatBytes(upload.size)
        : `${upload.percent} % · ${formatBytes(upload.received_bytes)} / ${formatBytes(upload.size)}${this.#rateOf(upload)}`;
    return element(
      "li",
      { class: "card" },
      element(
        "div",
        { class: "row" },
        element("strong", {}, name),
        element(
          "span",
          { class: "row-actions" },
          saved
            ? button(TEXT.resume, () => void this.#resume(saved), {
                class: "primary",
                "aria-label": `${TEXT.resume}: ${name}`,
                "data-key": `resume:${upload.upload_id}`,
              })
            : null,
          button(TEXT.cancelUpload, () => void this.#cancel(upload), {
            class: "danger",
            "aria-label": `${TEXT.cancelUpload}: ${name}`,
            "data-key": `cancel:${upload.upload_id}`,
          }),
        ),
      ),
      upload.received_bytes === undefined
        ? null
        : element("progress", { max: upload.size || 1, value: upload.received_bytes, "aria-label": name }),
      element("div", { class: "muted" }, known),
    );
  }

  /** @param {any} upload @returns {string} */
  #rateOf(upload) {
    const rate = this.rates.get(upload.upload_id);
    return rate ? formatRate(rate.bytesPerSecond, rate.secondsFor(upload.size - upload.received_bytes)) : "";
  }

  /** @param {store.SavedUpload} saved */
  async #resume(saved) {
    const file = await this.#fileOf(saved);
    if (!file) return;
    if (file.name !== saved.fileName || file.size !== saved.size || file.lastModified !== saved.lastModified) {
      toast(TEXT.otherFile(saved.fileName));
      return;
    }
    this.#send(file, saved.name, saved.handle);
    await this.#showSaved();
  }

  /** @param {store.SavedUpload} saved @returns {Promise<File | null>} */
  async #fileOf(saved) {
    const handle = /** @type {any} */ (saved.handle);
    try {
      if (handle && (await handle.requestPermission({ mode: "read" })) === "granted") return await handle.getFile();
    } catch {
      // The file was moved or deleted: the person chooses it.
    }
    toast(`${TEXT.chooseAgain} (${saved.fileName})`);
    return new Promise((resolve) => {
      const field = input({ type: "file" });
      field.addEventListener("change", () => resolve(field.files?.[0] ?? null));
      field.addEventListener("cancel", () => resolve(null));
      field.click();
    });
  }

  /** @param {any} upload */
  async #cancel(upload) {
    await this.session
      .request("DELETE", filePath("/upload", upload.filename, { upload_id: upload.upload_id }))
      .catch((error) => toast(describe(error)));
    for (const saved of await store.all(this.session.scope)) {
      if (saved.uploadId === upload.upload_id) await store.forget(saved.scope, saved.name);
    }
    await this.#showSaved();
  }
}
