// @ts-check
/** Uploads: small files by one request where the session has it, all others by start, parts and complete. */
import { ApiError, filePath, sleep } from "./api.js";
import { checksumOf } from "./checksums.js";
import { crc32c, toBase64 } from "./crc32c.js";
import { describe } from "./errors.js";
import { sendParts } from "./parts.js";
import { Rate } from "./rate.js";
import * as store from "./upload_store.js";
import { TEXT } from "./strings.js";

const MAX_PUT_BYTES = 4 * 1024 * 1024;
const PART_BYTES = 8 * 1024 * 1024;
const MAX_RUNNING = 2;
const MAX_ROUNDS = 4;
const LOCK_WAIT_MS = 3_000;

/** @typedef {"waiting" | "sending" | "completing" | "paused" | "complete" | "failed" | "conflict" | "cancelled"} TransferState */

/** One upload. */
export class Transfer {
  /**
   * @param {import("./api.js").Session} session
   * @param {File} file
   * @param {string} name
   * @param {() => void} onChange called when anything shown changes
   * @param {FileSystemFileHandle} [handle]
   */
  constructor(session, file, name, onChange, handle) {
    this.session = session;
    this.file = file;
    this.name = name;
    this.handle = handle;
    this.onChange = onChange;
    /** @type {TransferState} */
    this.state = "waiting";
    this.error = "";
    /** Whether nothing can be done about the failure. */
    this.isLost = false;
    /** The name that the file has in the end: another one under `rename`. */
    this.finalName = "";
    this.doneBytes = 0;
    this.progress = new Rate();
    /** Whether another device sends this name. */
    this.isOccupied = false;
    /** Whether its upload is being cancelled. */
    this.isEnding = false;
    /** Whether to end the upload of another device, which has this name. */
    this.mustRestart = false;
    this.uploadId = "";
    /** @type {"fail" | "replace" | "rename"} */
    this.ifExists = session.ifExists;
    /** @type {AbortController | null} */
    this.controller = null;
  }

  get fingerprint() {
    const name = crc32c(new TextEncoder().encode(this.file.name));
    return `browser:${name}:${this.file.size}:${this.file.lastModified}`;
  }

  get rate() {
    return this.state === "sending" ? this.progress.bytesPerSecond : 0;
  }

  get secondsLeft() {
    return this.rate ? this.progress.secondsFor(this.file.size - this.doneBytes) : null;
  }

  get isActive() {
    return this.state === "sending" || this.state === "completing";
  }

  /** @param {TransferState} state @param {string} [error] */
  set(state, error = "") {
    this.state = state;
    this.error = error;
    this.onChange();
  }

  /** @param {number} bytes durable bytes more */
  add(bytes) {
    this.doneBytes = Math.min(this.file.size, this.doneBytes + bytes);
    this.progress.add(this.doneBytes);
    this.onChange();
  }

  pause() {
    this.controller?.abort();
    this.set("paused");
  }

  async cancel() {
    this.isEnding = true;
    this.controller?.abort();
    this.set("cancelled");
    await store.forget(this.session.scope, this.name);
    if (this.uploadId) {
      await this.session
        .request("DELETE", filePath("/upload", this.finalName || this.name, { upload_id: this.uploadId }))
        .catch(() => {});
    }
    this.isEnding = false;
  }

  /** Send it, or what is left of it. Another tab that sends the same name is left alone. */
  async run() {
    const controller = new AbortController();
    this.controller = controller;
    const { signal } = controller;
    this.progress = new Rate();
    this.isLost = false;
    this.isOccupied = false;
    this.set("sending");
    try {
      await this.#withLock(() => this.#send(signal));
      await store.forget(this.session.scope, this.name);
      this.set("complete");
    } catch (error) {
      if (signal.aborted) return;
      // Other requests of this upload end with the first that failed.
      controller.abort();
      this.#fail(error);
    }
  }

  /** Run while no other tab sends this name; fail if another tab keeps sending it. @param {() => Promise<void>} work */
  async #withLock(work) {
    if (!navigator.locks) return work();
    // A paused run of this tab releases its lock shortly after.
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(new Error(TEXT.otherTab)), LOCK_WAIT_MS);
    return navigator.locks.request(`ferry:${this.session.scope}:${this.name}`, { signal: patience.signal }, () => {
      clearTimeout(timer);
      return work();
    });
  }

  /** @param {unknown} error */
  #fail(error) {
    if (error instanceof ApiError && (error.code === "file_exists" || error.code === "precondition_failed")) {
      this.set("conflict", TEXT.conflict);
      return;
    }
    this.isLost = error instanceof ApiError && error.status === 410 && error.code.startsWith("link_");
    this.isOccupied = error instanceof ApiError && error.code === "upload_in_progress";
    const isLocal = /NotReadableError|NotFoundError/.test(String(error));
    this.set("failed", isLocal ? TEXT.unreadable : describe(error));
  }

  /** @param {AbortSignal} signal */
  async #send(signal) {
    this.doneBytes = 0;
    const isPut = this.session.hasPut && this.ifExists !== "rename" && this.file.size <= MAX_PUT_BYTES;
    await (isPut ? this.#put(signal) : this.#upload(signal));
  }

  /** @param {AbortSignal} signal */
  async #put(signal) {
    const crc = await checksumOf(this.file);
    /** @type {Record<string, string>} */
    const headers = { "Content-Type": "application/octet-stream", "Content-Digest": `crc32c=:${toBase64(crc)}:` };
    if (this.ifExists === "fail") headers["If-None-Match"] = "*";
    const path = filePath("/files", this.name, this.file.type ? { content_type: this.file.type } : {});
    try {
      await this.session.json("PUT", path, { body: this.file, headers, signal });
    } catch (error) {
      // An earlier response was lost: the name has a file with the same bytes.
      const current = error instanceof ApiError ? error.members.current_file : null;
      if (!current || current.size !== this.file.size || current.checksum?.value !== toBase64(crc)) throw error;
    }
    this.add(this.file.size);
  }

  /** @param {AbortSignal} signal */
  async #upload(signal) {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const plan = await this.#start(signal);
      this.mustRestart = false;
      this.finalName = plan.filename;
      this.doneBytes = 0;
      this.progress = new Rate();
      if (plan.state === "complete") {
        this.add(this.file.size);
        return;
      }
      this.uploadId = plan.upload_id;
      await this.#save();
      this.add(plan.received_bytes);
      const checksum = await sendParts({
        session: this.session,
        file: this.file,
        plan,
        signal,
        onDurable: (bytes) => this.add(bytes),
      });
      if (await this.#complete(plan, checksum, signal)) return;
    }
    throw new Error(TEXT.missingAgain);
  }

  #save() {
    const { file } = this;
    return store.save({
      scope: this.session.scope,
      name: this.name,
      fileName: file.name,
      size: file.size,
      lastModified: file.lastModified,
      uploadId: this.uploadId,
      handle: this.handle,
    });
  }

  /** @param {AbortSignal} signal */
  #start(signal) {
    const members = {
      filename: this.name,
      size: this.file.size,
      fingerprint: this.fingerprint,
      part_size: PART_BYTES,
      ...(this.file.type ? { content_type: this.file.type } : {}),
      ...(this.ifExists === "fail" ? {} : { if_exists: this.ifExists }),
      ...(this.mustRestart ? { restart: true } : {}),
    };
    return this.session.json("POST", "/upload/start", { json: members, signal });
  }

  /** @param {any} plan @param {string} checksum @param {AbortSignal} signal @returns {Promise<boolean>} false where bytes are missing */
  async #complete(plan, checksum, signal) {
    this.set("completing");
    const members = {
      filename: plan.filename,
      upload_id: plan.upload_id,
      checksum: { algorithm: "crc32c", value: checksum },
      ...(this.ifExists === "replace" ? { if_exists: "replace" } : {}),
    };
    for (;;) {
      try {
        const response = await this.session.request("POST", "/upload/complete", { json: members, signal });
        const body = await response.json();
        if (response.status === 200) {
          this.finalName = body.filename;
          return true;
        }
        await sleep((Number(response.headers.get("Retry-After")) || 1) * 1000, signal);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.code === "upload_incomplete") return false;
        if (error.code !== "upload_completing") throw error;
        await sleep(2000, signal);
      }
    }
  }
}

/** @param {Transfer} transfer @returns {boolean} whether it sends its file, or ends its upload */
function isUsingName(transfer) {
  return transfer.isActive || transfer.isEnding;
}

/** All transfers of the page. */
export class TransferList {
  /** @param {() => void} onChange */
  constructor(onChange) {
    /** @type {Transfer[]} */
    this.transfers = [];
    this.onChange = onChange;
  }

  /**
   * Add a transfer. Where another one of its name is under way, it begins after that one; an ended one is replaced.
   * @param {Transfer} transfer
   * @returns {boolean} whether it waits for another one of its name
   */
  add(transfer) {
    const isBehind = this.transfers.some(
      (other) => other.name === transfer.name && (other.state === "waiting" || isUsingName(other)),
    );
    this.transfers = this.transfers.filter((other) => other.name !== transfer.name || isBehind);
    this.transfers.push(transfer);
    this.schedule();
    return isBehind;
  }

  /** @param {Transfer} transfer */
  restart(transfer) {
    transfer.set("waiting");
    this.schedule();
  }

  /** @param {Transfer} transfer */
  remove(transfer) {
    this.transfers = this.transfers.filter((other) => other !== transfer);
    this.onChange();
  }

  /** Cancel one, then start those that wait for its name. @param {Transfer} transfer */
  async cancel(transfer) {
    await transfer.cancel();
    this.schedule();
  }

  /** Start waiting transfers, a few at once, those of one name one after the other. */
  schedule() {
    let running = this.transfers.filter((transfer) => transfer.isActive).length;
    for (const [index, transfer] of this.transfers.entries()) {
      if (transfer.state !== "waiting" || running >= MAX_RUNNING) continue;
      const sameName = this.transfers.filter((other) => other.name === transfer.name);
      const earlier = this.transfers.slice(0, index);
      const isBlocked = sameName.some(
        (other) => isUsingName(other) || (earlier.includes(other) && ["waiting", "paused"].includes(other.state)),
      );
      if (isBlocked) continue;
      running += 1;
      void transfer.run().finally(() => this.schedule());
    }
    this.onChange();
  }
}
