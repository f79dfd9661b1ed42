// @ts-check
/** CRC32C (Castagnoli), eight bytes a step. */
const POLYNOMIAL = 0x82f63b78;
const TABLES = makeTables();

/** @returns {Uint32Array[]} */
function makeTables() {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let value = 0; value < 256; value += 1) {
    let crc = value;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[0][value] = crc >>> 0;
  }
  for (let table = 1; table < 8; table += 1) {
    for (let value = 0; value < 256; value += 1) {
      const crc = tables[table - 1][value];
      tables[table][value] = (tables[0][crc & 0xff] ^ (crc >>> 8)) >>> 0;
    }
  }
  return tables;
}

/** @param {Uint8Array} data @param {number} [previous] @returns {number} the CRC32C of `data`, appended to bytes with the CRC `previous` */
export function crc32c(data, previous = 0) {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  let crc = ~previous >>> 0;
  let position = 0;
  const end = data.length - (data.length % 8);
  for (; position < end; position += 8) {
    const low =
      crc ^ (data[position] | (data[position + 1] << 8) | (data[position + 2] << 16) | (data[position + 3] << 24));
    crc =
      t7[low & 0xff] ^
      t6[(low >>> 8) & 0xff] ^
      t5[(low >>> 16) & 0xff] ^
      t4[low >>> 24] ^
      t3[data[position + 4]] ^
      t2[data[position + 5]] ^
      t1[data[position + 6]] ^
      t0[data[position + 7]];
  }
  for (; position < data.length; position += 1) crc = t0[(crc ^ data[position]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
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
