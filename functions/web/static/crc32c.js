// @ts-check
/** CRC32C (Castagnoli). */
import { makeCrc } from "./crc.js";

const POLYNOMIAL = 0x82f63b78;
const STEP_BYTES = 1024 * 1024;

export const crc32c = makeCrc(POLYNOMIAL);

/** @param {Blob} blob @returns {Promise<number>} its CRC32C, with a MiB in memory at a time, besides what the garbage collector has not freed yet */
export async function crc32cOfBlob(blob) {
  let crc = 0;
  for (let first = 0; first < blob.size; first += STEP_BYTES) {
    const bytes = await blob.slice(first, first + STEP_BYTES).arrayBuffer();
    crc = crc32c(new Uint8Array(bytes), crc);
  }
  return crc;
}

/** @param {number} crc @returns {string} base64 of four bytes, big-endian, as the service writes it */
export function toBase64(crc) {
  return btoa(String.fromCharCode(crc >>> 24, (crc >>> 16) & 0xff, (crc >>> 8) & 0xff, crc & 0xff));
}

/**
 * Return the CRC32C of joined pieces. Appending n zero bytes is a linear map of the register; the matrix for 2n is the
 * square of that for n.
 * @param {Iterable<[number, number]>} pieces CRC and length of each
 * @returns {number}
 */
export function combine(pieces) {
  let total = 0;
  for (const [crc, length] of pieces) {
    let matrix = BYTE_OPERATOR;
    for (let remaining = length; remaining > 0; remaining = Math.floor(remaining / 2)) {
      if (remaining % 2) total = multiply(matrix, total);
      matrix = matrix.map((row) => multiply(matrix, row));
    }
    total = (total ^ crc) >>> 0;
  }
  return total;
}

/** @param {number[]} matrix @param {number} vector @returns {number} */
function multiply(matrix, vector) {
  let result = 0;
  for (let bit = 0, rest = vector; rest; bit += 1, rest >>>= 1) if (rest & 1) result ^= matrix[bit];
  return result >>> 0;
}

const BYTE_OPERATOR = (() => {
  let matrix = [POLYNOMIAL, ...Array.from({ length: 31 }, (_, bit) => 2 ** bit)];
  for (let step = 0; step < 3; step += 1) {
    const current = matrix;
    matrix = current.map((row) => multiply(current, row));
  }
  return matrix;
})();
