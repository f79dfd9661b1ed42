// Ferry in a browser: an ES module without dependencies. Needs a page of one of the stack's CorsOrigins.
//
//   import { connect, upload } from "./ferry.js";
//   const ferry = connect("https://…", token);
//   const file = await upload(ferry, input.files[0], (received, size) => …);

// [connect]
/** An error response, with the `code` and the other members of its problem document. */
export class FerryError extends Error {
  constructor(status, problem) {
    super(`${status} ${problem.code}: ${problem.detail}`);
    Object.assign(this, problem);
  }
}

/** Return a function that sends a request with the token to a path or a URL. It repeats what may succeed later.
 *  With the address of a link as `url`, no token is needed: `createResumable(connect(link), name, size)`. */
export function connect(url, token) {
  const bearer = token ? { Authorization: `Bearer ${token}` } : {};
  return async (method, path, { query = {}, json, body, headers = {} } = {}) => {
    const target = `${path.startsWith("/") ? url : ""}${path}?${new URLSearchParams(query)}`;
    const type = json ? { "Content-Type": "application/json" } : {};
    for (let attempt = 1; ; attempt++) {
      const response = await fetch(target, {
        method,
        body: json ? JSON.stringify(json) : body,
        headers: { ...bearer, ...type, ...headers },
        cache: "no-store",
      }).catch((error) => (attempt < 8 ? null : Promise.reject(error)));
      if (response?.ok || response?.status === 304) return response;
      const temporary = !response || response.status === 429 || response.status >= 500;
      if (!temporary || attempt >= 8) throw new FerryError(response.status, await response.json());
      await pause(Number(response?.headers.get("Retry-After")) || 2 ** attempt / 4);
    }
  };
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const named = (name) => encodeURIComponent(name);
const read = async (response) => (await response).json();
// [/connect]

// [token]
/** Return an access token. A public page gets it from its own server instead, which keeps the client's secret. */
export async function getToken(url, clientId, clientSecret) {
  const response = await fetch(`${url}/auth/token`, {
    method: "POST",
    headers: { Authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}` },
    body: new URLSearchParams({ grant_type: "client_credentials" }),
  });
  if (!response.ok) throw new Error(`no token: status ${response.status}`);
  return (await response.json()).access_token;
}
// [/token]

// [discover]
/** Return health, API description and public keys. None of them needs a token. */
export async function discover(url) {
  const paths = ["/health", "/openapi.json", "/.well-known/jwks.json"];
  return Promise.all(paths.map((path) => read(fetch(url + path))));
}
// [/discover]

// [upload]
/** Upload a File in chunks through the API, or resume its upload. Return the finished file. */
export async function upload(ferry, file, onProgress = () => {}) {
  const fingerprint = `${file.size}-${file.lastModified}`;
  const start = { filename: file.name, size: file.size, fingerprint };
  const plan = await read(ferry("POST", "/upload/start", { json: start }));
  if (plan.state === "complete") return plan;
  const isReceived = (index) => plan.received.chunks.some(([first, last]) => first <= index && index <= last);
  for (let index = 1; index <= plan.chunk_count; index++) {
    if (isReceived(index)) continue;
    const offset = (index - 1) * plan.chunk_size;
    const query = { filename: plan.filename, chunk_index: index, upload_id: plan.upload_id };
    const body = file.slice(offset, offset + plan.chunk_size, "application/octet-stream");
    const progress = await read(ferry("POST", plan.chunk_url, { query, body }));
    onProgress(progress.received_bytes, progress.size);
  }
  return complete(ferry, plan);
}

/** Return the finished file. 202 means that it is not finished yet: repeat the request. */
async function complete(ferry, { filename, upload_id }) {
  for (;;) {
    const response = await ferry("POST", "/upload/complete", { json: { filename, upload_id } });
    if (response.status !== 202) return response.json();
    await pause(Number(response.headers.get("Retry-After")));
  }
}
// [/upload]

// [upload-parts]
/** Upload a File in parts directly to S3. Return the finished file. */
export async function uploadParts(ferry, file, onProgress = () => {}) {
  const fingerprint = `${file.size}-${file.lastModified}`;
  const start = { filename: file.name, size: file.size, fingerprint };
  const plan = await read(ferry("POST", "/upload/start", { json: start }));
  if (plan.state === "complete") return plan;
  const isReceived = (number) => plan.received.parts.some(([first, last]) => first <= number && number <= last);
  for (let number = 1; number <= plan.part_count; number++) {
    if (isReceived(number)) continue;
    const json = { filename: plan.filename, upload_id: plan.upload_id, parts: [{ part_number: number }] };
    const [part] = (await read(ferry("POST", "/upload/parts", { json }))).parts;
    const offset = (number - 1) * plan.part_size;
    // A Blob without a type sends no Content-Type: only the headers that were signed may be sent.
    const body = file.slice(offset, offset + part.size, "");
    const response = await fetch(part.url, { method: "PUT", body, headers: part.headers });
    if (!response.ok) throw new Error(`part ${number}: status ${response.status}`);
    onProgress(Math.min(offset + part.size, file.size), file.size);
  }
  return complete(ferry, plan);
}
// [/upload-parts]

// [status]
/** Call `onChange` with the status now and after each change, until the upload ends. */
export async function watch(ferry, name, onChange, wait = 20) {
  for (let query = {}, status; ; query = { wait, since: status.version }) {
    status = await read(ferry("GET", `/status/${named(name)}`, { query }));
    if (status.version !== query.since) onChange(status);
    if (["complete", "expired", "cancelled"].includes(status.state)) return status;
  }
}

/** Return all uploads in progress. */
export async function listUploads(ferry) {
  const uploads = [];
  for (let page = {}, first = true; first || page.cursor; first = false) {
    const query = page.cursor ? { cursor: page.cursor } : {};
    page = await read(ferry("GET", "/status", { query }));
    uploads.push(...page.uploads);
  }
  return uploads;
}
// [/status]

// [cancel]
/** Cancel the upload in progress of a name. A finished file of that name stays. */
export const cancel = (ferry, name) => ferry("DELETE", `/upload/${named(name)}`);
// [/cancel]

// [download]
/** Return a file as a Blob. Over 4 MiB, the browser follows the redirect to S3 and leaves the token behind. */
export async function download(ferry, name) {
  const head = await ferry("HEAD", `/download/${named(name)}`);
  // Exactly this version of the file, or a 412.
  const headers = { "If-Match": head.headers.get("ETag") };
  return (await ferry("GET", `/download/${named(name)}`, { headers })).blob();
}

/** Return the bytes from `first` to `last`, both included. */
export async function downloadRange(ferry, name, first, last) {
  const path = `/download/partial/${named(name)}`;
  const head = await ferry("HEAD", path);
  const headers = { Range: `bytes=${first}-${last}`, "If-Match": head.headers.get("ETag") };
  return (await ferry("GET", path, { headers })).blob();
}
// [/download]

// [put-file]
/** Store a Blob of up to 4 MiB as a whole file, unless the name has one already. Return its record. */
export function putFile(ferry, name, blob, metadata = {}) {
  const json = new TextEncoder().encode(JSON.stringify(metadata));
  const headers = {
    "Content-Type": "application/octet-stream", // arrives byte for byte through every gateway
    "Ferry-Metadata": btoa(String.fromCharCode(...json)),
    "If-None-Match": "*", // an existing file stays: 412, with its record as current_file
  };
  const query = { content_type: blob.type || "application/octet-stream" };
  return read(ferry("PUT", `/files/${named(name)}`, { query, body: blob, headers }));
}

/** Return the record of a file. */
export const getRecord = (ferry, name) => read(ferry("GET", `/files/${named(name)}`));

/** Change type or metadata of a file, if it still has this ETag. A null removes a name of the metadata. */
export const changeFile = (ferry, name, etag, change) => {
  const headers = { "Content-Type": "application/merge-patch+json", "If-Match": etag };
  return read(ferry("PATCH", `/files/${named(name)}`, { body: JSON.stringify(change), headers }));
};

/** Return the limits of the namespace and what is used of them; {} without limits. */
export const usage = (ferry) => read(ferry("GET", "/usage"));
// [/put-file]

// [files]
/** Return the finished files whose names begin with `prefix`, ordered by name. */
export async function listFiles(ferry, prefix = "") {
  const files = [];
  for (let page = {}, first = true; first || page.cursor; first = false) {
    const query = { prefix, limit: 100, ...(page.cursor ? { cursor: page.cursor } : {}) };
    page = await read(ferry("GET", "/files", { query }));
    files.push(...page.files);
  }
  return files;
}

/** Delete a finished file. Downloads in progress continue for a day. */
export const deleteFile = (ferry, name) => ferry("DELETE", `/files/${named(name)}`);
// [/files]

// [folders]
/** Return the folders (their paths, with a `/` at the end) and the files directly in a folder; the root is "". */
export async function listFolder(ferry, folder = "") {
  const folders = [], files = [];
  for (let page = {}, first = true; first || page.cursor; first = false) {
    const query = { prefix: folder, delimiter: "/", limit: 1000, ...(page.cursor ? { cursor: page.cursor } : {}) };
    page = await read(ferry("GET", "/files", { query }));
    folders.push(...page.prefixes);
    files.push(...page.files);
  }
  return { folders, files };
}

/** Rename a file, if it still has this ETag and the new name is free. It may be repeated. Return its record. */
export const moveFile = (ferry, from, to, etag) => read(ferry("POST", "/files/move", { json: { from, to, etag } }));

/** Delete up to 100 files. Return the names as `deleted`, `missing` and `errors`. */
export const deleteFiles = (ferry, filenames) => read(ferry("POST", "/files/delete", { json: { filenames } }));

/** Return the files that were deleted or replaced: by name, and within a name the last one first. */
export const listDeleted = async (ferry, prefix) =>
  (await read(ferry("GET", "/files", { query: { prefix, deleted: true } }))).files;

/** Restore the last file that the name lost, under another name if it has a file again. Return its record. */
export const restoreFile = (ferry, filename) =>
  read(ferry("POST", "/files/restore", { json: { filename, if_exists: "rename" } }));
// [/folders]

// [resumable]
const tus = { "Tus-Resumable": "1.0.0" };

/** Create an upload by tus, and return its address. Keep it: after a break, `offsetOf` returns how far the upload is. */
export async function createResumable(ferry, name, size) {
  const filename = btoa(String.fromCharCode(...new TextEncoder().encode(name)));
  const headers = { ...tus, "Upload-Length": size, "Upload-Metadata": `filename ${filename}` };
  return (await ferry("POST", "/uploads", { headers })).headers.get("Location");
}

/** Return how many bytes the upload has. */
export async function offsetOf(ferry, upload) {
  return Number((await ferry("GET", upload, { headers: tus })).headers.get("Upload-Offset"));
}

/** Append bytes, and return the new offset. With `override` the method is POST, for a network that lacks PATCH. */
export async function append(ferry, upload, offset, body, override = false) {
  const method = override ? { "X-HTTP-Method-Override": "PATCH" } : {};
  const type = { "Content-Type": "application/offset+octet-stream", "Upload-Offset": offset };
  const headers = { ...tus, ...type, ...method };
  const response = await ferry(override ? "POST" : "PATCH", upload, { body, headers });
  return Number(response.headers.get("Upload-Offset"));
}

/** Send what the upload lacks, in pieces of 4 MiB. The last byte makes it a file. */
export async function sendResumable(ferry, upload, file) {
  let offset = await offsetOf(ferry, upload);
  while (offset < file.size) offset = await append(ferry, upload, offset, file.slice(offset, offset + 4194304));
}

/** Cancel an upload. */
export async function cancelResumable(ferry, upload) {
  await ferry("DELETE", upload, { headers: tus });
}
// [/resumable]

// [link-upload]
/** Send a file by the address of an upload link, without a token. The name is that in the folder of the link. */
export async function sendByLink(link, name, file) {
  const guest = connect(link);
  const upload = await createResumable(guest, name, file.size); // keep it: sendResumable continues after a break
  await sendResumable(guest, upload, file);
  return upload;
}
// [/link-upload]

// [links]
/** Create a link. Return it with its secret, which is shown this once: who has it, has what the link grants. */
export async function createLink(ferry, members) {
  const link = await read(ferry("POST", "/links", { json: members }));
  return { ...link, secret: link.url.split("/").pop() };
}

/** Return the links of the namespace, the newest first, up to 1,000. */
export const listLinks = async (ferry) => (await read(ferry("GET", "/links", { query: { limit: 1000 } }))).links;

export const getLink = (ferry, linkId) => read(ferry("GET", `/links/${linkId}`));

/** Return who fetched what by the link, and when, by network; the newest first. */
export const linkActivity = async (ferry, linkId) =>
  (await read(ferry("GET", `/links/${linkId}/activity`))).activity;

/** Delete a link. It ends within a minute. */
export const deleteLink = (ferry, linkId) => ferry("DELETE", `/links/${linkId}`);

/** Functions for those who open a link; they need no token. */
export const byLink = {
  open: async (url, secret) => (await fetch(`${url}/l/${secret}`)).json(),
  /** Return a token of a link with a password. It works for 15 minutes at most. */
  token: async (url, secret, password) => {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ password });
    return (await (await fetch(`${url}/l/${secret}/token`, { method: "POST", headers, body })).json()).access_token;
  },
  files: async (url, secret) => (await (await fetch(`${url}/l/${secret}/files?limit=1000`)).json()).files,
  download: async (url, secret, filename) => {
    const path = filename ? `/download/${encodeURIComponent(filename)}` : "/download";
    return (await fetch(`${url}/l/${secret}${path}`)).blob();
  },
};
// [/links]

// [names]
/** The same requests with the name in the query: for names that a proxy on the way may change in a path. */
export const byName = {
  status: (ferry, filename) => read(ferry("GET", "/status", { query: { filename } })),
  cancel: (ferry, filename) => ferry("DELETE", "/upload", { query: { filename } }),
  head: (ferry, filename) => ferry("HEAD", "/download", { query: { filename } }),
  download: async (ferry, filename) => (await ferry("GET", "/download", { query: { filename } })).blob(),
  headRange: (ferry, filename) => ferry("HEAD", "/download/partial", { query: { filename } }),
  downloadRange: async (ferry, filename, first, last) => {
    const headers = { Range: `bytes=${first}-${last}` };
    return (await ferry("GET", "/download/partial", { query: { filename }, headers })).blob();
  },
  putFile: (ferry, filename, body) => {
    const headers = { "Content-Type": "application/octet-stream" };
    return read(ferry("PUT", "/files", { query: { filename }, body, headers }));
  },
  getRecord: (ferry, filename) => read(ferry("GET", "/files", { query: { filename } })),
  changeFile: (ferry, filename, change) => {
    const headers = { "Content-Type": "application/merge-patch+json" };
    return read(ferry("PATCH", "/files", { query: { filename }, body: JSON.stringify(change), headers }));
  },
  delete: (ferry, filename) => ferry("DELETE", "/files", { query: { filename } }),
};
// [/names]

// [cleanup]
/** Expire the uploads without activity for so many seconds. Needs the scope files:admin. Return how many. */
export async function cleanup(ferry, olderThanSeconds, dryRun) {
  let expired = 0;
  for (let report = {}; !report.complete; ) {
    const cursor = report.cursor ? { cursor: report.cursor } : {};
    const query = { older_than: olderThanSeconds, dry_run: dryRun, ...cursor };
    report = await read(ferry("DELETE", "/cleanup", { query }));
    expired += report.expired;
  }
  return expired;
}
// [/cleanup]
