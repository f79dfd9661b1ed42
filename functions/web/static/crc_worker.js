// @ts-check
/** Computes the CRC32C of slices of files, so that the page stays responsive. */
import { crc32cOfBlob } from "./crc32c.js";

self.onmessage = async (event) => {
  const { id, blob } = event.data;
  try {
    self.postMessage({ id, crc: await crc32cOfBlob(blob) });
  } catch (error) {
    self.postMessage({ id, error: String(error) });
  }
};
