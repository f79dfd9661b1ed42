// Uploads a file by tus-js-client, with the settings that docs/protocol-clients.md names.
// Usage: node tus_js_client.mjs ENDPOINT TOKEN PATH NAME [OPTION=VALUE...]
import { createReadStream, readFileSync } from "node:fs";
import * as tus from "tus-js-client";

const RETRY_DELAYS = Array.from({ length: 300 }, () => 1000);

const [endpoint, token, path, name, ...settings] = process.argv.slice(2);
const options = Object.fromEntries(
  settings.map((setting) => setting.split("=")).map(([key, value]) => [key, parse(value)]),
);
const query = options.protocol ? `?filename=${encodeURIComponent(name)}` : "";

// By the draft, tus-js-client 4.3.1 ends no upload of a ReadStream in several chunks: it takes no chunk as the last one.
const source = options.protocol ? readFileSync(path) : createReadStream(path);

function parse(text) {
  return /^\d+$/.test(text) ? Number(text) : text === "true" ? true : text;
}

await new Promise((resolve, reject) => {
  const upload = new tus.Upload(source, {
    endpoint: endpoint + query,
    headers: { Authorization: `Bearer ${token}` },
    metadata: { filename: name, filetype: "application/x-test" },
    retryDelays: RETRY_DELAYS,
    ...options,
    onSuccess: resolve,
    onError: reject,
  });
  upload.start();
});
