// @ts-check
/** The bytes of an upload: parts straight to S3, several at once, and chunks through the API where S3 is out of reach. */
import { backoff, sleep } from "./api.js";
import { checksumOf } from "./checksums.js";
import { combine, toBase64 } from "./crc32c.js";

const SENDERS = 3;
const MAX_UNPROVEN_FAILURES = 3;

/** What is known about the connection to S3. */
const direct = { isAllowed: true, isProven: false, failures: 0 };

/**
 * @typedef {object} Sender
 * @property {{json: (method: string, path: string, options?: any) => Promise<any>}} session sends requests with a token
 * @property {Blob} file
 * @property {any} plan the response to `POST /upload/start`
 * @property {AbortSignal} signal
 * @property {(bytes: number) => void} onDurable called with the bytes of each part and chunk that the service has
 */

/** Send what the service does not have yet. @param {Sender} sender @returns {Promise<string>} the CRC32C of the whole file, in base64 */
export async function sendParts(sender) {
  const { plan, file } = sender;
  const chunks = expand(plan.received.chunks);
  const parts = expand(plan.received.parts);
  /** @type {Map<number, [number, number]>} CRC and length of each part */
  const crcs = new Map();
  let next = 1;
  const sendNext = async () => {
    while (next <= plan.part_count) {
      const number = next;
      next += 1;
      sender.signal.throwIfAborted();
      const first = (number - 1) * plan.part_size;
      const blob = file.slice(first, first + plan.part_size);
      const crc = await checksumOf(blob);
      crcs.set(number, [crc, blob.size]);
      const missing = parts.has(number) ? [] : chunksOfPart(plan, number).filter((index) => !chunks.has(index));
      if (!missing.length) continue;
      const isWhole = missing.length === chunksOfPart(plan, number).length;
      if (direct.isAllowed && isWhole && (await sendPart(sender, number, blob, crc))) continue;
      for (const index of missing) await sendChunk(sender, index);
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, sendNext));
  return toBase64(
    combine([...crcs.keys()].sort((a, b) => a - b).map((number) => /** @type {[number, number]} */ (crcs.get(number)))),
  );
}

/** @param {Sender} sender @param {number} number @param {Blob} blob @param {number} crc @returns {Promise<boolean>} false where S3 is out of reach */
async function sendPart({ session, plan, signal, onDurable }, number, blob, crc) {
  for (let attempt = 0; ; attempt += 1) {
    const members = {
      filename: plan.filename,
      upload_id: plan.upload_id,
      parts: [{ part_number: number, checksum: { algorithm: "crc32c", value: toBase64(crc) } }],
    };
    const {
      parts: [part],
    } = await session.json("POST", "/upload/parts", { json: members, signal });
    let status = 0;
    try {
      const response = await fetch(part.url, {
        method: "PUT",
        headers: part.headers,
        body: blob,
        signal,
        credentials: "omit",
      });
      await response.text();
      status = response.status;
    } catch (error) {
      if (signal.aborted) throw error;
    }
    if (status === 200) {
      direct.isProven = true;
      onDurable(blob.size);
      return true;
    }
    direct.failures += 1;
    if (!direct.isProven && direct.failures >= MAX_UNPROVEN_FAILURES) {
      direct.isAllowed = false;
      return false;
    }
    await sleep(backoff(attempt), signal);
  }
}

/** @param {Sender} sender @param {number} index */
async function sendChunk({ session, plan, file, signal, onDurable }, index) {
  const first = (index - 1) * plan.chunk_size;
  const blob = file.slice(first, first + plan.chunk_size);
  const crc = await checksumOf(blob);
  const query = { filename: plan.filename, chunk_index: String(index), upload_id: plan.upload_id };
  await session.json("POST", `${plan.chunk_url}?${new URLSearchParams(query)}`, {
    body: blob,
    headers: { "Content-Type": "application/octet-stream", "Content-Digest": `crc32c=:${toBase64(crc)}:` },
    signal,
  });
  onDurable(blob.size);
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
