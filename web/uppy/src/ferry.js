// @ts-check
/**
 * An uploader of Uppy 5 and 6: parts straight to S3, three at once with CRC32C each, in chunks through the API where S3
 * is out of reach. The work is done by the modules of Ferry's console.
 */
import { BasePlugin } from "@uppy/core";
import { Transfer } from "../../../functions/web/static/transfers.js";
import { TokenSession } from "./token_session.js";

const FILES_AT_ONCE = 2;

/**
 * @typedef {object} FerryOptions
 * @property {string} url the API's address, with its stage if it has one
 * @property {import("./token_session.js").Token} token an access token with the scope `files:write`, or a function that returns one
 * @property {"fail" | "replace" | "rename"} [ifExists] what happens where the name has a file: `fail` is the default
 * @property {(file: any) => string} [filename] the name in Ferry; the default is the relative path, else the name
 * @property {number} [limit] files that are sent at once; the default is 2
 * @property {string} [id]
 */

export default class Ferry extends BasePlugin {
  /** @param {any} uppy @param {FerryOptions} options */
  constructor(uppy, options) {
    super(uppy, options);
    this.type = "uploader";
    this.id = options.id ?? "Ferry";
    this.session = new TokenSession(options.url, options.token);
    /** @type {(() => void)[]} */
    this.queue = [];
    this.free = options.limit ?? FILES_AT_ONCE;
  }

  install() {
    this.uppy.setState({ capabilities: { ...this.uppy.getState().capabilities, resumableUploads: true } });
    this.uppy.addUploader(this.upload);
  }

  uninstall() {
    this.uppy.setState({ capabilities: { ...this.uppy.getState().capabilities, resumableUploads: false } });
    this.uppy.removeUploader(this.upload);
  }

  /** @param {string[]} ids */
  upload = async (ids) => {
    const files = ids.map((id) => this.uppy.getFile(id)).filter((file) => !file.error && !file.progress.uploadComplete);
    this.uppy.emit(
      "upload-start",
      files.filter((file) => !file.progress.uploadStarted || !file.isRestored),
    );
    await Promise.allSettled(files.map((file) => this.#uploadFile(file)));
  };

  /** @param {any} file */
  async #uploadFile(file) {
    const name = this.opts.filename?.(file) ?? nameOf(file);
    const transfer = new Transfer(this.session, asFile(file), name, () => this.#report(file.id, transfer));
    transfer.ifExists = this.opts.ifExists ?? "fail";
    const control = this.#listen(file.id, transfer);
    try {
      for (;;) {
        await control.untilResumed();
        if (transfer.state !== "cancelled") {
          await this.#takeTurn(() => (control.isPaused ? Promise.resolve() : transfer.run()));
        }
        if (transfer.state === "cancelled" || transfer.state === "complete") break;
        if (transfer.state === "failed" || transfer.state === "conflict") throw new Error(transfer.error);
      }
    } catch (error) {
      this.uppy.emit("upload-error", this.uppy.getFile(file.id), error);
      throw error;
    } finally {
      control.stop();
    }
    if (transfer.state !== "complete") return;
    const filename = transfer.finalName || name;
    const uploadURL = `${this.session.url}/download?${new URLSearchParams({ filename })}`;
    this.uppy.emit("upload-success", this.uppy.getFile(file.id), { status: 200, body: { filename }, uploadURL });
  }

  /** @param {() => Promise<void>} work run when fewer files than the limit are being sent */
  async #takeTurn(work) {
    if (this.free === 0) await new Promise((resolve) => this.queue.push(() => resolve(undefined)));
    else this.free -= 1;
    try {
      await work();
    } finally {
      const next = this.queue.shift();
      if (next) next();
      else this.free += 1;
    }
  }

  /** @param {string} id @param {Transfer} transfer */
  #report(id, transfer) {
    const file = this.uppy.getFile(id);
    if (!file || transfer.state !== "sending") return;
    this.uppy.emit("upload-progress", file, {
      uploadStarted: file.progress.uploadStarted ?? Date.now(),
      bytesUploaded: transfer.doneBytes,
      bytesTotal: transfer.file.size,
    });
  }

  /** Follow what the page does to a file. @param {string} id @param {Transfer} transfer */
  #listen(id, transfer) {
    let wake = () => {};
    const control = {
      isPaused: false,
      untilResumed: async () => {
        while (control.isPaused && transfer.state !== "cancelled") {
          await new Promise((resolve) => (wake = () => resolve(undefined)));
        }
      },
      stop: () =>
        Object.entries(handlers).forEach(([event, handler]) => this.uppy.off(/** @type {any} */ (event), handler)),
    };
    /** @param {boolean} isPaused */
    const pause = (isPaused) => {
      if (control.isPaused === isPaused) return;
      control.isPaused = isPaused;
      if (isPaused) transfer.pause();
      wake();
    };
    const cancel = () => {
      void transfer.cancel();
      wake();
    };
    /** @type {Record<string, (...values: any[]) => void>} */
    const handlers = {
      "upload-pause": (file, isPaused) => file?.id === id && pause(isPaused),
      "pause-all": () => pause(true),
      "resume-all": () => pause(false),
      "cancel-all": cancel,
      "file-removed": (file) => file.id === id && cancel(),
    };
    Object.entries(handlers).forEach(([event, handler]) => this.uppy.on(/** @type {any} */ (event), handler));
    return control;
  }
}

/** @param {any} file @returns {string} its relative path, else its name. Uppy says `null` where there is no path. */
function nameOf(file) {
  const path = file.meta.relativePath;
  return path && path !== "null" ? path.replace(/^\//, "") : file.meta.name || file.name;
}

/** @param {any} file @returns {File} its data, which Uppy may hold as a Blob without a name */
function asFile(file) {
  if (file.data instanceof File) return file.data;
  return new File([file.data], file.name, { type: file.type ?? "", lastModified: 0 });
}
