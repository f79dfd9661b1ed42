// @ts-check
/** Computes the CRC32C of slices of files, so that the page stays responsive. */
import { crc32c } from "./crc32c.js";

const STEP_BYTES = 4 * 1024 * 1024;

self.onmessage = async (event) => {
  const { id, blob } = event.data;
  try {
    let crc = 0;
    for (let first = 0; first < blob.size; first += STEP_BYTES) {
      const bytes = await blob.slice(first, first + STEP_BYTES).arrayBuffer();
      crc = crc32c(new Uint8Array(bytes), crc);
    }
    self.postMessage({ id, crc });
  } catch (error) {
    self.postMessage({ id, error: String(error) });
  }
};
