// @ts-check
/** The page of a link: download what it shares, or send files to its owner. */
import { ApiError, filePath } from "./api.js";
import { button, downloadFrom, element, input, labelled, showDialog, toast } from "./dom.js";
import { acceptDrops } from "./drop.js";
import { pickFiles } from "./file_actions.js";
import { FilesView } from "./files_view.js";
import { formatBytes, formatCount, formatTime } from "./format.js";
import { LinkSession } from "./link_session.js";
import { describe } from "./errors.js";
import { previewKind, showPreview } from "./preview.js";
import { TEXT } from "./strings.js";
import { UploadsView } from "./uploads_view.js";
import * as store from "./upload_store.js";
import { removeLeftovers } from "./zip_sinks.js";

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const endCode = app.dataset.code ?? "";
const session = new LinkSession(
  takeSecret(),
  async () =>
    /** @type {any} */ (
      await showDialog(TEXT.passwordNeeded, (close) => [passwordForm(async (password) => close(password))])
    ),
);

/** Take the secret out of the address bar, where others would see it. @returns {string} */
function takeSecret() {
  const secret = location.pathname.split("/").pop() ?? "";
  history.replaceState(null, "", "/console#/link");
  // Another address of the console differs in its hash alone.
  window.addEventListener("hashchange", () => location.reload());
  return secret;
}

/** @param {(password: string) => Promise<unknown>} submit */
function passwordForm(submit) {
  const field = input({ type: "password", required: true, maxlength: 256, autocomplete: "off" });
  const error = element("p", { class: "error", role: "alert" });
  const send = /** @type {HTMLButtonElement} */ (element("button", { class: "primary" }, TEXT.openLink));
  return element(
    "form",
    {
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        send.disabled = true;
        error.textContent = "";
        try {
          await submit(field.value);
        } catch (failure) {
          const code = failure instanceof ApiError ? failure.code : "";
          error.textContent =
            code === "link_password"
              ? TEXT.passwordWrong
              : code === "link_locked"
                ? TEXT.tooManyPasswords
                : describe(failure);
          send.disabled = false;
          field.select();
        }
      },
    },
    labelled(TEXT.password, field),
    error,
    element("div", {}, send),
  );
}

const limits = element("p", { class: "muted" });

/** @param {any} link */
function showLimits(link) {
  const { left } = link;
  const parts = [];
  if (left.downloads !== undefined) parts.push(TEXT.downloadsLeft(formatCount(left.downloads)));
  if (left.files !== undefined) parts.push(TEXT.filesLeft(formatCount(left.files)));
  if (left.bytes !== undefined) parts.push(TEXT.bytesLeft(formatBytes(left.bytes)));
  limits.textContent = [...parts, TEXT.endedAt(formatTime(link.expires_at))].join(" · ");
}

/** Show what is left after an upload or a download. */
async function refreshLimits() {
  await session.describe().then(showLimits, (error) => {
    if (error instanceof ApiError) limits.textContent = describe(error);
  });
}

/** Show a part of the page below the title. @param {any} link @param {...(Node | null)} nodes */
function show(link, ...nodes) {
  const title = link.label || (link.kind === "upload" ? TEXT.sendTitle : TEXT.filesForYou);
  app.replaceChildren(element("main", { tabindex: "-1", class: "shared" }, element("h1", {}, title), ...nodes));
}

/** @param {any} link */
function showPassword(link) {
  const form = passwordForm(async (password) => {
    await session.open(password);
    await showContent(link);
  });
  show(link, element("p", {}, TEXT.passwordNeeded), limits, form);
  /** @type {HTMLElement} */ (form.querySelector("input")).focus();
}

/** @param {any} link */
async function showContent(link) {
  const { scope, filename, prefix } = session.grant;
  if (scope === "link:upload") showUpload(link, prefix);
  else if (filename !== undefined) await showFile(link, filename);
  else showFolder(link, prefix);
}

/** @param {any} link @param {string} filename */
async function showFile(link, filename) {
  const file = await session.json("GET", filePath("/files", filename));
  const act = (/** @type {() => Promise<unknown>} */ work) => () =>
    void work().catch((error) => toast(describe(error)));
  const download = act(async () => {
    downloadFrom((await session.json("GET", filePath("/download", filename, { redirect: "false" }))).url);
    await refreshLimits();
  });
  const name = filename.split("/").pop();
  show(
    link,
    element(
      "div",
      { class: "card" },
      element(
        "div",
        { class: "row" },
        element(
          "div",
          {},
          element("strong", {}, name),
          element("div", { class: "muted" }, `${formatBytes(file.size)} · ${file.content_type}`),
        ),
        element(
          "span",
          { class: "row-actions" },
          previewKind(file)
            ? button(
                TEXT.preview,
                act(() => showPreview(session, file)),
              )
            : null,
          button(TEXT.download, download, { class: "primary" }),
        ),
      ),
    ),
    limits,
  );
}

/** @param {any} link @param {string} prefix */
function showFolder(link, prefix) {
  const files = new FilesView(session, {
    base: prefix,
    rights: { write: false, share: false },
    navigate: (folder) => void files.open(folder),
  });
  show(link, limits, files.root);
  void files.open(prefix);
}

/** @param {any} link @param {string} prefix @param {boolean} [isUsedUp] */
function showUpload(link, prefix, isUsedUp = false) {
  const uploads = new UploadsView(session, () => void refreshLimits(), { canList: false, base: prefix });
  const add = (
    /** @type {Iterable<File>} */ files,
    /** @type {Map<File, FileSystemFileHandle>} */ handles = new Map(),
  ) => uploads.add(files, prefix, handles);
  const zone = element(
    "div",
    { class: "drop-zone" },
    element("p", {}, TEXT.sendDrop),
    element(
      "div",
      { class: "toolbar" },
      button(TEXT.uploadFiles, () => pickFiles(false, add), { class: "primary" }),
      button(TEXT.uploadFolder, () => pickFiles(true, add)),
    ),
  );
  if (isUsedUp) show(link, element("p", {}, TEXT.usedUpResume), uploads.root);
  else show(link, element("p", {}, TEXT.grantUpload), limits, zone, uploads.root);
  if (!isUsedUp) acceptDrops(document.body, add);
  uploads.open();
  window.addEventListener("beforeunload", (event) => {
    if (uploads.isBusy) event.preventDefault();
  });
}

/** Offer to resume uploads that a used-up link has counted. Without any, the page stays as the server sent it. */
async function resumeUsedUp() {
  await session.open("");
  const { scope, prefix } = session.grant;
  if (scope === "link:upload" && (await store.all(session.scope)).length) showUpload({ kind: "upload" }, prefix, true);
}

async function start() {
  if (endCode === "link_used_up") {
    await resumeUsedUp().catch(() => {});
    return;
  }
  if (endCode) return;
  const link = await session.describe();
  showLimits(link);
  if (link.password) {
    showPassword(link);
    return;
  }
  await session.open("");
  await showContent(link);
}

void removeLeftovers().catch(() => {});
start().catch((error) => {
  app.replaceChildren(
    element(
      "main",
      { class: "shared" },
      element("h1", {}, document.title),
      element("p", { class: "error", role: "alert" }, describe(error)),
    ),
  );
});
