// @ts-check
/** Uploads: small files by one request, large ones in parts straight to S3, in chunks where S3 is out of reach. */
import { ApiError, backoff, filePath, sleep } from "./api.js";
import { checksumOf } from "./checksums.js";
import { combine, toBase64 } from "./crc32c.js";
import * as store from "./upload_store.js";
import { TEXT } from "./strings.js";

const MAX_PUT_BYTES = 4 * 1024 * 1024;
const PART_BYTES = 8 * 1024 * 1024;
const SENDERS = 3;
const MAX_UNPROVEN_FAILURES = 3;
const MAX_RUNNING = 2;

let directAllowed = true;
let directProven = false;
let directFailures = 0;

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
    this.doneBytes = 0;
    this.rate = 0;
    this.uploadId = "";
    /** @type {"fail" | "replace"} */
    this.ifExists = "fail";
    /** @type {AbortController | null} */
    this.controller = null;
    /** @type {[number, number][]} times and bytes of the last seconds */
    this.samples = [];
  }

  get fingerprint() {
    return `browser:${this.file.name}:${this.file.size}:${this.file.lastModified}`;
  }

  get secondsLeft() {
    return this.rate ? (this.file.size - this.doneBytes) / this.rate : null;
  }

  /** @param {TransferState} state @param {string} [error] */
  set(state, error = "") {
    this.state = state;
    this.error = error;
    if (state !== "sending") this.rate = 0;
    this.onChange();
  }

  /** @param {number} bytes durable bytes more */
  add(bytes) {
    this.doneBytes = Math.min(this.file.size, this.doneBytes + bytes);
    const now = performance.now();
    this.samples.push([now, this.doneBytes]);
    while (this.samples.length > 2 && now - this.samples[0][0] > 15_000) this.samples.shift();
    const [time, done] = this.samples[0];
    this.rate = now > time ? ((this.doneBytes - done) * 1000) / (now - time) : 0;
    this.onChange();
  }

  pause() {
    this.controller?.abort();
    this.set("paused");
  }

  async cancel() {
    this.controller?.abort();
    this.set("cancelled");
    await store.forget(this.name);
    if (this.uploadId) {
      await this.session.request("DELETE", filePath("/upload", this.name, { upload_id: this.uploadId })).catch(() => {});
    }
  }

  /** Send it, or what is left of it. Another tab that sends the same name is left alone. */
  async run() {
    this.controller = new AbortController();
    const { signal } = this.controller;
    this.samples = [];
    this.set("sending");
    try {
      if (navigator.locks) {
        await navigator.locks.request(`ferry:${this.name}`, { ifAvailable: true }, async (lock) => {
          if (!lock) throw new Error(TEXT.otherTab);
          await this.#send(signal);
        });
      } else {
        await this.#send(signal);
      }
      await store.forget(this.name);
      this.set("complete");
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && (error.code === "file_exists" || error.code === "precondition_failed")) {
        this.set("conflict", TEXT.conflict);
      } else {
        this.set("failed", error instanceof Error ? error.message : String(error));
      }
    }
  }

  /** @param {AbortSignal} signal */
  async #send(signal) {
    this.doneBytes = 0;
    if (this.file.size <= MAX_PUT_BYTES) await this.#put(signal);
    else await this.#upload(signal);
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
      // A lost answer: the file is there, with these very bytes.
      const current = error instanceof ApiError ? error.members.current_file : null;
      if (!current || current.size !== this.file.size || current.checksum?.value !== toBase64(crc)) throw error;
    }
    this.add(this.file.size);
  }

  /** @param {AbortSignal} signal */
  async #upload(signal) {
    let plan = await this.#start(signal);
    for (let round = 0; ; round += 1) {
      if (plan.state === "complete") {
        this.add(this.file.size);
        return;
      }
      this.uploadId = plan.upload_id;
      await store.save({
        name: this.name,
        fileName: this.file.name,
        size: this.file.size,
        lastModified: this.file.lastModified,
        uploadId: plan.upload_id,
        handle: this.handle,
      });
      this.add(plan.received_bytes);
      const crcs = await this.#sendParts(plan, signal);
      if (await this.#complete(plan, crcs, signal)) return;
      if (round === 3) throw new Error("The service reports missing bytes again and again.");
      this.doneBytes = 0;
      plan = await this.#start(signal);
    }
  }

  /** @param {AbortSignal} signal */
  async #start(signal) {
    const members = {
      filename: this.name,
      size: this.file.size,
      fingerprint: this.fingerprint,
      part_size: PART_BYTES,
      ...(this.file.type ? { content_type: this.file.type } : {}),
      ...(this.ifExists === "replace" ? { if_exists: "replace" } : {}),
    };
    return this.session.json("POST", "/upload/start", { json: members, signal });
  }

  /** @param {any} plan @param {AbortSignal} signal @returns {Promise<Map<number, [number, number]>>} CRC and length of each part */
  async #sendParts(plan, signal) {
    const chunks = expand(plan.received.chunks);
    const parts = expand(plan.received.parts);
    /** @type {Map<number, [number, number]>} */
    const crcs = new Map();
    let next = 1;
    const sendOne = async () => {
      while (next <= plan.part_count) {
        const number = next;
        next += 1;
        const first = (number - 1) * plan.part_size;
        const blob = this.file.slice(first, first + plan.part_size);
        const crc = await checksumOf(blob);
        crcs.set(number, [crc, blob.size]);
        const missing = parts.has(number) ? [] : missingChunks(plan, number, chunks);
        if (!missing.length) continue;
        if (directAllowed && missing.length === chunksOfPart(plan, number).length) {
          if (await this.#sendPart(plan, number, blob, crc, signal)) continue;
        }
        for (const index of missing) await this.#sendChunk(plan, index, signal);
      }
    };
    await Promise.all(Array.from({ length: SENDERS }, sendOne));
    return crcs;
  }

  /** @param {any} plan @param {number} number @param {Blob} blob @param {number} crc @param {AbortSignal} signal @returns {Promise<boolean>} false where S3 is out of reach */
  async #sendPart(plan, number, blob, crc, signal) {
    for (let attempt = 0; ; attempt += 1) {
      const members = {
        filename: plan.filename,
        upload_id: plan.upload_id,
        parts: [{ part_number: number, checksum: { algorithm: "crc32c", value: toBase64(crc) } }],
      };
      const body = await this.session.json("POST", "/upload/parts", { json: members, signal });
      const part = body.parts[0];
      let status = 0;
      try {
        const response = await fetch(part.url, { method: "PUT", headers: part.headers, body: blob, signal, credentials: "omit" });
        await response.text();
        status = response.status;
      } catch (error) {
        if (signal.aborted) throw error;
      }
      if (status === 200) {
        directProven = true;
        this.add(blob.size);
        return true;
      }
      directFailures += 1;
      if (!directProven && directFailures >= MAX_UNPROVEN_FAILURES) {
        directAllowed = false;
        return false;
      }
      await sleep(backoff(attempt), signal);
    }
  }

  /** @param {any} plan @param {number} index @param {AbortSignal} signal */
  async #sendChunk(plan, index, signal) {
    const first = (index - 1) * plan.chunk_size;
    const blob = this.file.slice(first, first + plan.chunk_size);
    const crc = await checksumOf(blob);
    const query = { filename: plan.filename, chunk_index: String(index), upload_id: plan.upload_id };
    await this.session.json("POST", `${plan.chunk_url}?${new URLSearchParams(query)}`, {
      body: blob,
      headers: { "Content-Type": "application/octet-stream", "Content-Digest": `crc32c=:${toBase64(crc)}:` },
      signal,
    });
    this.add(blob.size);
  }

  /** @param {any} plan @param {Map<number, [number, number]>} crcs @param {AbortSignal} signal @returns {Promise<boolean>} false where bytes are missing */
  async #complete(plan, crcs, signal) {
    const whole = combine([...crcs.keys()].sort((a, b) => a - b).map((number) => /** @type {[number, number]} */ (crcs.get(number))));
    this.set("completing");
    const members = {
      filename: plan.filename,
      upload_id: plan.upload_id,
      checksum: { algorithm: "crc32c", value: toBase64(whole) },
      ...(this.ifExists === "replace" ? { if_exists: "replace" } : {}),
    };
    for (;;) {
      try {
        const response = await this.session.request("POST", "/upload/complete", { json: members, signal });
        await response.text();
        if (response.status === 200) return true;
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

/** All transfers of the page. */
export class TransferList {
  /** @param {() => void} onChange */
  constructor(onChange) {
    /** @type {Transfer[]} */
    this.transfers = [];
    this.onChange = onChange;
  }

  /** @param {Transfer} transfer */
  add(transfer) {
    this.transfers = this.transfers.filter((other) => other.name !== transfer.name || other.state === "sending");
    this.transfers.push(transfer);
    this.schedule();
  }

  /** Start waiting transfers, a few at once. */
  schedule() {
    const running = this.transfers.filter((transfer) => ["sending", "completing"].includes(transfer.state)).length;
    const waiting = this.transfers.filter((transfer) => transfer.state === "waiting").slice(0, Math.max(0, MAX_RUNNING - running));
    for (const transfer of waiting) void transfer.run().finally(() => this.schedule());
    this.onChange();
  }
}

/** @param {[number, number][]} ranges @returns {Set<number>} */
function expand(ranges) {
  const numbers = new Set();
  for (const [first, last] of ranges) for (let number = first; number <= last; number += 1) numbers.add(number);
  return numbers;
}

/** @param {any} plan @param {number} number @returns {number[]} */
function chunksOfPart(plan, number) {
  const first = (number - 1) * plan.chunks_per_part + 1;
  const last = Math.min(plan.chunk_count, number * plan.chunks_per_part);
  return Array.from({ length: last - first + 1 }, (_, offset) => first + offset);
}

/** @param {any} plan @param {number} number @param {Set<number>} received @returns {number[]} */
function missingChunks(plan, number, received) {
  return chunksOfPart(plan, number).filter((index) => !received.has(index));
}
