/** What both example pages share: the connection, the files, the buttons, and a line for each file. */
import Uppy from "@uppy/core";

const element = (id) => document.getElementById(id);

/** @param {(uppy: Uppy, connection: {url: string, token: () => Promise<string>}) => void} addUploader */
export function showPage(addUploader) {
  const uppy = new Uppy({ autoProceed: false });
  element("connect").addEventListener("submit", (event) => {
    event.preventDefault();
    const url = element("url").value;
    // A real page asks its own server for a token, so that the secret stays there.
    addUploader(uppy, { url, token: () => fetchToken(url, element("client").value, element("secret").value) });
    element("files").disabled = false;
  });
  element("files").addEventListener("change", (event) => {
    for (const file of event.target.files) {
      uppy.addFile({ source: "page", name: file.name, type: file.type, data: file });
    }
    void uppy.upload();
  });
  for (const action of ["pauseAll", "resumeAll", "retryAll", "cancelAll"]) {
    element(action).addEventListener("click", () => uppy[action]());
  }
  const show = () => {
    const lines = uppy.getFiles().map((file) => `${file.name}: ${stateOf(file)}`);
    element("state").textContent = lines.join("\n") || "no files";
  };
  uppy.on("state-update", show);
  show();
  window.uppy = uppy;
}

function stateOf(file) {
  if (file.error) return `failed: ${file.error}`;
  if (file.progress.uploadComplete) return `complete ${file.response?.uploadURL ?? ""}`;
  const share = Math.floor(((file.progress.bytesUploaded || 0) / (file.size || 1)) * 100);
  return `${file.isPaused ? "paused" : "sending"} ${share} %`;
}

let current = { token: "", renewAt: 0 };

async function fetchToken(url, client, secret) {
  if (Date.now() > current.renewAt) {
    const response = await fetch(`${url}/auth/token`, {
      method: "POST",
      headers: { Authorization: `Basic ${btoa(`${client}:${secret}`)}` },
      body: new URLSearchParams({ grant_type: "client_credentials" }),
    });
    const body = await response.json();
    current = { token: body.access_token, renewAt: Date.now() + body.expires_in * 500 };
  }
  return current.token;
}
