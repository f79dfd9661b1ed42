// Upload a file with tus-js-client: node upload.mjs URL FILE CHUNK_BYTES UPLOADS PARALLEL
// UPLOADS files at once, each an equal share of the file; PARALLEL is the option parallelUploads of each.
import { readFileSync } from "node:fs";
import tus from "tus-js-client";

const [url, path, chunkBytes, uploads, parallel] = process.argv.slice(2);
const content = readFileSync(path);
const share = Math.ceil(content.length / Number(uploads));

function upload(part, number) {
  return new Promise((resolve, reject) => {
    new tus.Upload(part, {
      endpoint: url,
      chunkSize: Number(chunkBytes),
      parallelUploads: Number(parallel),
      retryDelays: null,
      storeFingerprintForResuming: false,
      metadata: { filename: `tus-js-${number}` },
      onError: reject,
      onSuccess: resolve,
    }).start();
  });
}

const startedAt = performance.now();
const parts = Array.from({ length: Number(uploads) }, (_, number) => content.subarray(number * share, (number + 1) * share));
try {
  await Promise.all(parts.map(upload));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
console.log(JSON.stringify({ seconds: (performance.now() - startedAt) / 1000 }));
