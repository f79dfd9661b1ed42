// @ts-check
/** CRCs of 32 bits, reflected, eight bytes a step. */

/** @param {number} polynomial reflected @returns {(data: Uint8Array, previous?: number) => number} the CRC of `data`, appended to bytes with the CRC `previous` */
export function makeCrc(polynomial) {
  const tables = makeTables(polynomial);
  return (data, previous = 0) => update(tables, data, previous);
}

/** @param {number} polynomial @returns {Uint32Array[]} one table for each of the eight bytes */
function makeTables(polynomial) {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let value = 0; value < 256; value += 1) {
    let crc = value;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
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

/** @param {Uint32Array[]} tables @param {Uint8Array} data @param {number} previous @returns {number} */
function update(tables, data, previous) {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables;
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
