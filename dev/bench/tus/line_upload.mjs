// Upload a file with tus-js-client over a line: node line_upload.mjs ORIGIN TOKEN FILE NAME CHUNK_BYTES
// ORIGIN is the line's; every request goes there, also those to the URL that the service names for the upload.
import { createReadStream } from "node:fs";
import tus from "tus-js-client";

const [origin, token, path, name, chunkBytes] = process.argv.slice(2);

class LineStack extends tus.DefaultHttpStack {
  createRequest(method, url) {
    const { pathname, search } = new URL(url);
    return super.createRequest(method, origin + pathname + search);
  }
}

try {
  await new Promise((resolve, reject) => {
    new tus.Upload(createReadStream(path), {
      endpoint: `${origin}/uploads`,
      httpStack: new LineStack({}),
      headers: { Authorization: `Bearer ${token}` },
      metadata: { filename: name },
      chunkSize: Number(chunkBytes),
      retryDelays: Array.from({ length: 300 }, () => 1000),
      storeFingerprintForResuming: false,
      onSuccess: resolve,
      onError: reject,
    }).start();
  });
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
