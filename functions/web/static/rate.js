// @ts-check
const WINDOW_MS = 15_000;

/** The rate of an upload over its last seconds. */
export class Rate {
  /** @type {[number, number][]} times and bytes */
  #samples = [];

  /** Bytes a second; 0 until two counts are known. */
  get bytesPerSecond() {
    const first = this.#samples[0];
    const last = this.#samples[this.#samples.length - 1];
    return first && last[0] > first[0] ? ((last[1] - first[1]) * 1000) / (last[0] - first[0]) : 0;
  }

  /** @param {number} bytes all bytes that are durable now */
  add(bytes) {
    const now = performance.now();
    this.#samples.push([now, bytes]);
    while (this.#samples.length > 2 && now - this.#samples[0][0] > WINDOW_MS) this.#samples.shift();
  }

  /** @param {number} bytes that are left @returns {number | null} null where no rate is known */
  secondsFor(bytes) {
    return this.bytesPerSecond ? bytes / this.bytesPerSecond : null;
  }
}
