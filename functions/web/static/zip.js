// @ts-check
/** ZIP64 archives whose files are stored as they are (APPNOTE.TXT 6.3): headers, and CRC-32. */
import { makeCrc } from "./crc.js";

const MAX_UINT32 = 0xffffffff;
const MAX_UINT16 = 0xffff;
const VERSION = 45;
const FLAGS = 0x0808;

export const crc32 = makeCrc(0xedb88320);

/**
 * @typedef {object} Entry
 * @property {string} name
 * @property {number} size bytes
 * @property {Date} time
 * @property {number} [crc] CRC-32 of the bytes, once they have passed
 * @property {number} [offset] where its local header begins
 */

/** Little-endian fields of a record. */
class Writer {
  /** @type {number[]} */
  bytes = [];

  /** @param {number} value @param {number} length bytes: 2, 4 or 8 */
  put(value, length) {
    let rest = value;
    for (let index = 0; index < length; index += 1) {
      this.bytes.push(rest % 256);
      rest = Math.floor(rest / 256);
    }
    return this;
  }

  /** @param {Iterable<number>} bytes */
  append(bytes) {
    for (const byte of bytes) this.bytes.push(byte);
    return this;
  }

  get result() {
    return Uint8Array.from(this.bytes);
  }
}

/** @param {Date} time @returns {[number, number]} time and date of MS-DOS, in UTC, from 1980 to 2107 */
function dosTime(time) {
  const year = time.getUTCFullYear();
  if (!(year >= 1980)) return [0, 0x21];
  if (year > 2107) return [0xbf7d, 0xff9f];
  const clock = (time.getUTCHours() << 11) | (time.getUTCMinutes() << 5) | (time.getUTCSeconds() >> 1);
  return [clock, ((year - 1980) << 9) | ((time.getUTCMonth() + 1) << 5) | time.getUTCDate()];
}

/** @param {Entry} entry @returns {boolean} whether its sizes need eight bytes */
function isLarge(entry) {
  return entry.size >= MAX_UINT32;
}

/** @param {Entry} entry @returns {Uint8Array} what is in front of its bytes; the CRC comes after them */
export function localHeader(entry) {
  const name = new TextEncoder().encode(entry.name);
  const [clock, day] = dosTime(entry.time);
  const size = isLarge(entry) ? MAX_UINT32 : 0;
  const writer = new Writer()
    .put(0x04034b50, 4)
    .put(VERSION, 2)
    .put(FLAGS, 2)
    .put(0, 2)
    .put(clock, 2)
    .put(day, 2)
    .put(0, 4);
  writer
    .put(size, 4)
    .put(size, 4)
    .put(name.length, 2)
    .put(isLarge(entry) ? 20 : 0, 2)
    .append(name);
  if (isLarge(entry)) writer.put(0x0001, 2).put(16, 2).put(0, 8).put(0, 8);
  return writer.result;
}

/** @param {Entry} entry @returns {Uint8Array} what follows its bytes */
export function dataDescriptor(entry) {
  const length = isLarge(entry) ? 8 : 4;
  return new Writer()
    .put(0x08074b50, 4)
    .put(entry.crc ?? 0, 4)
    .put(entry.size, length)
    .put(entry.size, length).result;
}

/** @param {Entry} entry @returns {Uint8Array} its record in the central directory */
export function centralHeader(entry) {
  const name = new TextEncoder().encode(entry.name);
  const [clock, day] = dosTime(entry.time);
  const offset = entry.offset ?? 0;
  const extra = new Writer();
  if (isLarge(entry)) extra.put(entry.size, 8).put(entry.size, 8);
  if (offset >= MAX_UINT32) extra.put(offset, 8);
  const size = isLarge(entry) ? MAX_UINT32 : entry.size;
  const extraLength = extra.bytes.length ? extra.bytes.length + 4 : 0;
  const writer = new Writer()
    .put(0x02014b50, 4)
    .put((3 << 8) | VERSION, 2)
    .put(VERSION, 2)
    .put(FLAGS, 2)
    .put(0, 2)
    .put(clock, 2)
    .put(day, 2);
  writer
    .put(entry.crc ?? 0, 4)
    .put(size, 4)
    .put(size, 4)
    .put(name.length, 2)
    .put(extraLength, 2)
    .put(0, 2)
    .put(0, 2)
    .put(0, 2);
  // The mode of a plain file, rw-r--r--, in the upper half.
  writer
    .put(0o100644 * 65_536, 4)
    .put(Math.min(offset, MAX_UINT32), 4)
    .append(name);
  if (extraLength) writer.put(0x0001, 2).put(extra.bytes.length, 2).append(extra.bytes);
  return writer.result;
}

/** @param {number} count @param {number} length bytes of the central directory @param {number} offset where it begins @returns {Uint8Array} the end of the archive */
export function endRecords(count, length, offset) {
  const writer = new Writer();
  if (count >= MAX_UINT16 || length >= MAX_UINT32 || offset >= MAX_UINT32) {
    writer
      .put(0x06064b50, 4)
      .put(44, 8)
      .put((3 << 8) | VERSION, 2)
      .put(VERSION, 2)
      .put(0, 4)
      .put(0, 4);
    writer.put(count, 8).put(count, 8).put(length, 8).put(offset, 8);
    writer
      .put(0x07064b50, 4)
      .put(0, 4)
      .put(offset + length, 8)
      .put(1, 4);
  }
  writer.put(0x06054b50, 4).put(0, 2).put(0, 2).put(Math.min(count, MAX_UINT16), 2).put(Math.min(count, MAX_UINT16), 2);
  return writer.put(Math.min(length, MAX_UINT32), 4).put(Math.min(offset, MAX_UINT32), 4).put(0, 2).result;
}
