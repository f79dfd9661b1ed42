// @ts-check
/** QR codes (ISO/IEC 18004): bytes, error correction level M, versions 1 to 20, so up to 666 bytes. */

/** Error correction codewords of a block, and blocks, by version; level M (table 9 of the standard). */
const CORRECTION = [0, 10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26];
const BLOCKS = [0, 1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16];
const MAX_VERSION = BLOCKS.length - 1;
const [DATA, FIXED] = [0, 2];

/** @typedef {{size: number, version: number, mask: number, isDark: (x: number, y: number) => boolean}} QrCode */

/** @param {string} text @param {number} [forcedMask] 0 to 7; by default the one that reads best @returns {QrCode | null} null for a text that is too long */
function encodeQr(text, forcedMask) {
  const bytes = new TextEncoder().encode(text);
  let version = 1;
  while (version <= MAX_VERSION && bytes.length > byteCapacity(version)) version += 1;
  if (version > MAX_VERSION) return null;
  const codewords = interleave(dataCodewords(bytes, version), version);
  const symbol = new Matrix(version);
  symbol.drawFunctionPatterns();
  symbol.drawCodewords(codewords);
  const masks = forcedMask === undefined ? [0, 1, 2, 3, 4, 5, 6, 7] : [forcedMask];
  let best = masks[0];
  let leastPenalty = Infinity;
  for (const mask of masks) {
    const penalty = symbol.masked(mask).penalty();
    if (penalty < leastPenalty) [best, leastPenalty] = [mask, penalty];
  }
  const result = symbol.masked(best);
  return { size: result.size, version, mask: best, isDark: (x, y) => Boolean(result.cells[y * result.size + x] & 1) };
}

/** @param {number} version @returns {number} codewords of the symbol, those of the correction included */
function totalCodewords(version) {
  let modules = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const aligned = Math.floor(version / 7) + 2;
    modules -= (25 * aligned - 10) * aligned - 55;
  }
  if (version >= 7) modules -= 36;
  return Math.floor(modules / 8);
}

/** @param {number} version */
function dataLength(version) {
  return totalCodewords(version) - CORRECTION[version] * BLOCKS[version];
}

/** @param {number} version */
function byteCapacity(version) {
  return dataLength(version) - (version < 10 ? 2 : 3);
}

/** @param {Uint8Array} bytes @param {number} version @returns {Uint8Array} mode, length, bytes, padding */
function dataCodewords(bytes, version) {
  /** @type {number[]} */
  const bits = [];
  const put = (/** @type {number} */ value, /** @type {number} */ length) => {
    for (let bit = length - 1; bit >= 0; bit -= 1) bits.push((value >>> bit) & 1);
  };
  put(0b0100, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) put(byte, 8);
  const capacity = dataLength(version) * 8;
  put(0, Math.min(4, capacity - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < capacity; pad ^= 0xec ^ 0x11) put(pad, 8);
  return Uint8Array.from({ length: bits.length / 8 }, (_, index) =>
    bits.slice(index * 8, index * 8 + 8).reduce((sum, bit) => sum * 2 + bit, 0),
  );
}

/** @param {Uint8Array} data @param {number} version @returns {number[]} the blocks' codewords in the order in which they are drawn */
function interleave(data, version) {
  const count = BLOCKS[version];
  const shortLength = Math.floor(data.length / count);
  const shortBlocks = count - (data.length % count);
  const divisor = generator(CORRECTION[version]);
  const blocks = [];
  for (let index = 0, first = 0; index < count; index += 1) {
    const block = data.subarray(first, first + shortLength + (index < shortBlocks ? 0 : 1));
    first += block.length;
    blocks.push({ block, rest: remainder(block, divisor) });
  }
  const result = [];
  for (let index = 0; index <= shortLength; index += 1) {
    for (const { block } of blocks) if (index < block.length) result.push(block[index]);
  }
  for (let index = 0; index < divisor.length; index += 1) for (const { rest } of blocks) result.push(rest[index]);
  return result;
}

/** Multiply in GF(256), modulo x^8 + x^4 + x^3 + x^2 + 1. @param {number} a @param {number} b */
function multiply(a, b) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d);
    if ((b >>> bit) & 1) product ^= a;
  }
  return product;
}

/** @param {number} degree @returns {number[]} the generator polynomial without its leading 1, highest power first */
function generator(degree) {
  const coefficients = Array(degree).fill(0);
  coefficients[degree - 1] = 1;
  for (let root = 1, step = 0; step < degree; step += 1, root = multiply(root, 2)) {
    for (let index = 0; index < degree; index += 1) {
      coefficients[index] = multiply(coefficients[index], root) ^ (coefficients[index + 1] ?? 0);
    }
  }
  return coefficients;
}

/** @param {Uint8Array} block @param {number[]} divisor @returns {number[]} the codewords of the correction */
function remainder(block, divisor) {
  const rest = Array(divisor.length).fill(0);
  for (const byte of block) {
    const factor = byte ^ rest[0];
    rest.shift();
    rest.push(0);
    for (const [index, coefficient] of divisor.entries()) rest[index] ^= multiply(coefficient, factor);
  }
  return rest;
}

/** @param {number} data @param {number} polynomial @param {number} length bits of the remainder @returns {number} data with its remainder */
function withRemainder(data, polynomial, length) {
  let rest = data;
  for (let step = 0; step < length; step += 1) rest = (rest << 1) ^ ((rest >>> (length - 1)) & 1 ? polynomial : 0);
  return (data << length) | (rest & ((1 << length) - 1));
}

const MASKS = [
  (/** @type {number} */ x, /** @type {number} */ y) => (x + y) % 2 === 0,
  (/** @type {number} */ _x, /** @type {number} */ y) => y % 2 === 0,
  (/** @type {number} */ x) => x % 3 === 0,
  (/** @type {number} */ x, /** @type {number} */ y) => (x + y) % 3 === 0,
  (/** @type {number} */ x, /** @type {number} */ y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (/** @type {number} */ x, /** @type {number} */ y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (/** @type {number} */ x, /** @type {number} */ y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (/** @type {number} */ x, /** @type {number} */ y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** The modules of a symbol: bit 0 is dark, bit 1 marks function patterns, which no mask changes. */
class Matrix {
  /** @param {number} version */
  constructor(version) {
    this.version = version;
    this.size = 17 + 4 * version;
    this.cells = new Uint8Array(this.size ** 2);
  }

  /** @param {number} x @param {number} y @param {boolean | number} isDark @param {number} [kind] */
  set(x, y, isDark, kind = FIXED) {
    if (x >= 0 && y >= 0 && x < this.size && y < this.size) this.cells[y * this.size + x] = (isDark ? 1 : 0) | kind;
  }

  drawFunctionPatterns() {
    const { size } = this;
    for (let index = 0; index < size; index += 1) {
      this.set(6, index, index % 2 === 0);
      this.set(index, 6, index % 2 === 0);
    }
    for (const [x, y] of [
      [3, 3],
      [size - 4, 3],
      [3, size - 4],
    ]) {
      this.#square(x, y, 4, [0, 1, 3]);
    }
    const positions = this.#alignments();
    const last = positions.length - 1;
    for (const [row, y] of positions.entries()) {
      for (const [column, x] of positions.entries()) {
        const isFinder =
          (row === 0 && column === 0) || (row === 0 && column === last) || (row === last && column === 0);
        if (!isFinder) this.#square(x, y, 2, [0, 2]);
      }
    }
    this.drawFormat(0);
    if (this.version >= 7) this.#drawVersion();
  }

  /** @param {number} centerX @param {number} centerY @param {number} radius @param {number[]} dark distances from the center */
  #square(centerX, centerY, radius, dark) {
    for (let dy = -radius; dy <= radius; dy += 1) {
      for (let dx = -radius; dx <= radius; dx += 1) {
        this.set(centerX + dx, centerY + dy, dark.includes(Math.max(Math.abs(dx), Math.abs(dy))));
      }
    }
  }

  #alignments() {
    if (this.version === 1) return [];
    const count = Math.floor(this.version / 7) + 2;
    const step = Math.ceil((this.version * 4 + 4) / (count * 2 - 2)) * 2;
    return [6, ...Array.from({ length: count - 1 }, (_, index) => this.size - 7 - (count - 2 - index) * step)];
  }

  /** @param {number} mask */
  drawFormat(mask) {
    // Level M is 00.
    const bits = withRemainder(mask, 0x537, 10) ^ 0x5412;
    const bit = (/** @type {number} */ index) => (bits >>> index) & 1;
    const { size } = this;
    for (let index = 0; index < 6; index += 1) {
      this.set(8, index, bit(index));
      this.set(5 - index, 8, bit(9 + index));
    }
    this.set(8, 7, bit(6));
    this.set(8, 8, bit(7));
    this.set(7, 8, bit(8));
    for (let index = 0; index < 8; index += 1) this.set(size - 1 - index, 8, bit(index));
    for (let index = 8; index < 15; index += 1) this.set(8, size - 15 + index, bit(index));
    this.set(8, size - 8, true);
  }

  #drawVersion() {
    const bits = withRemainder(this.version, 0x1f25, 12);
    for (let index = 0; index < 18; index += 1) {
      const [a, b] = [this.size - 11 + (index % 3), Math.floor(index / 3)];
      this.set(a, b, (bits >>> index) & 1);
      this.set(b, a, (bits >>> index) & 1);
    }
  }

  /** Draw the bits in columns of two, from the right, up and down by turns. @param {number[]} codewords */
  drawCodewords(codewords) {
    let index = 0;
    let isUpward = true;
    for (let right = this.size - 1; right >= 1; right -= 2, isUpward = !isUpward) {
      if (right === 6) right = 5;
      for (let step = 0; step < this.size; step += 1) {
        const y = isUpward ? this.size - 1 - step : step;
        for (const x of [right, right - 1]) {
          if (this.cells[y * this.size + x] & FIXED) continue;
          const isDark = index < codewords.length * 8 && (codewords[index >>> 3] >>> (7 - (index & 7))) & 1;
          this.set(x, y, isDark, DATA);
          index += 1;
        }
      }
    }
  }

  /** @param {number} mask @returns {Matrix} */
  masked(mask) {
    const symbol = new Matrix(this.version);
    symbol.cells = this.cells.slice();
    for (let y = 0; y < this.size; y += 1) {
      for (let x = 0; x < this.size; x += 1) {
        const index = y * this.size + x;
        if (!(symbol.cells[index] & FIXED) && MASKS[mask](x, y)) symbol.cells[index] ^= 1;
      }
    }
    symbol.drawFormat(mask);
    return symbol;
  }

  /** @returns {number} how badly it reads (section 7.8.3 of the standard) */
  penalty() {
    const { size } = this;
    const lines = [];
    for (let a = 0; a < size; a += 1) {
      lines.push(Array.from({ length: size }, (_, b) => this.cells[a * size + b] & 1));
      lines.push(Array.from({ length: size }, (_, b) => this.cells[b * size + a] & 1));
    }
    let total = 0;
    let dark = 0;
    for (const line of lines) total += linePenalty(line);
    for (let y = 0; y < size; y += 1) {
      for (let x = 0; x < size; x += 1) {
        const cell = this.cells[y * size + x] & 1;
        dark += cell;
        if (x + 1 === size || y + 1 === size) continue;
        const [right, below, across] = [
          this.cells[y * size + x + 1],
          this.cells[(y + 1) * size + x],
          this.cells[(y + 1) * size + x + 1],
        ];
        if ((right & 1) === cell && (below & 1) === cell && (across & 1) === cell) total += 3;
      }
    }
    return total + Math.floor(Math.abs((dark * 20) / size ** 2 - 10)) * 10;
  }
}

/** @param {number[]} line @returns {number} penalty of long runs, and of what looks like a finder pattern */
function linePenalty(line) {
  let total = 0;
  for (let first = 0; first < line.length; ) {
    let end = first;
    while (end < line.length && line[end] === line[first]) end += 1;
    if (end - first >= 5) total += end - first - 2;
    first = end;
  }
  const text = line.join("");
  for (const pattern of ["10111010000", "00001011101"]) {
    for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, at + 1)) total += 40;
  }
  return total;
}

const SVG = "http://www.w3.org/2000/svg";
const QUIET_MODULES = 4;

/** @param {string} text @param {string} label @returns {SVGElement | null} dark on white, in both color schemes */
export function qrImage(text, label) {
  const code = encodeQr(text);
  if (!code) return null;
  let path = "";
  for (let y = 0; y < code.size; y += 1) {
    for (let x = 0; x < code.size; x += 1) {
      if (code.isDark(x, y)) path += `M${x + QUIET_MODULES} ${y + QUIET_MODULES}h1v1h-1z`;
    }
  }
  const extent = code.size + 2 * QUIET_MODULES;
  const make = (/** @type {string} */ tag, /** @type {Record<string, string>} */ attributes) => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const image = make("svg", {
    viewBox: `0 0 ${extent} ${extent}`,
    role: "img",
    "aria-label": label,
    class: "qr",
    "shape-rendering": "crispEdges",
  });
  image.append(
    make("rect", { width: String(extent), height: String(extent), fill: "#fff" }),
    make("path", { d: path, fill: "#000" }),
  );
  return /** @type {SVGElement} */ (image);
}
