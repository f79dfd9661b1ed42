// @ts-check
/** CRC32C without a worker, which a package for bundlers cannot bring along: in steps, so that the page stays responsive. */
import { crc32c } from "../../../functions/web/static/crc32c.js";

const STEP_BYTES = 1024 * 1024;

/** @param {Blob} blob @returns {Promise<number>} */
export async function checksumOf(blob) {
  let crc = 0;
  for (let first = 0; first < blob.size; first += STEP_BYTES) {
    crc = crc32c(new Uint8Array(await blob.slice(first, first + STEP_BYTES).arrayBuffer()), crc);
  }
  return crc;
}
