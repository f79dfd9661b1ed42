// @ts-check
import { ApiError, ClientSession } from "./api.js";
import { DeletedView } from "./deleted_view.js";
import { button, element, focusView, input, labelled, showDialog } from "./dom.js";
import { acceptDrops } from "./drop.js";
import { FilesView } from "./files_view.js";
import { interruptedMoves } from "./folder_move.js";
import { formatBytes, formatCount } from "./format.js";
import { LinksView } from "./links_view.js";
import { TEXT } from "./strings.js";
import { UploadsView } from "./uploads_view.js";
import { removeLeftovers } from "./zip_sinks.js";

const SECRET = /^[A-Za-z0-9_-]{22,100}$/;

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const session = new ClientSession(askAgain);
/** Whether the sign-in dialog was closed, and nothing was pressed since: requests of the page itself do not open it again. */
let isSignInDeclined = false;
for (const kind of ["pointerdown", "keydown"]) {
  addEventListener(kind, () => (isSignInDeclined = false), { capture: true });
}

/** @param {string} message @param {(id: string, secret: string) => Promise<void>} submit @returns {HTMLElement} */
function signInForm(message, submit) {
  const id = input({ autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false" });
  const secret = input({ type: "password", autocomplete: "current-password", required: true });
  const error = element("p", { class: "error", role: "alert" }, message);
  const send = /** @type {HTMLButtonElement} */ (element("button", { class: "primary" }, TEXT.signIn));
  return element(
    "form",
    {
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        send.disabled = true;
        error.textContent = "";
        try {
          await submit(id.value, secret.value);
        } catch (failure) {
          const isRejected = failure instanceof ApiError && failure.status < 500 && failure.status !== 429;
          error.textContent = isRejected ? TEXT.signInFailed : TEXT.networkDown;
          secret.focus();
        } finally {
          send.disabled = false;
        }
      },
    },
    labelled(TEXT.clientId, id),
    labelled(TEXT.clientSecret, secret),
    error,
    send,
  );
}

/** Ask for id and secret in a dialog, while uploads wait. @returns {Promise<{id: string, secret: string} | null>} */
async function askAgain() {
  if (isSignInDeclined) return null;
  const given = /** @type {any} */ (
    await showDialog(TEXT.signIn, (close) => [
      signInForm(TEXT.signInAgain, async (id, secret) => close({ id, secret })),
    ])
  );
  isSignInDeclined = !given;
  return given;
}

/** @returns {HTMLElement} a form that opens a link */
function linkForm() {
  const address = input({ autocomplete: "off", spellcheck: "false", required: true });
  const error = element("p", { class: "error", role: "alert" });
  return element(
    "form",
    {
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const secret = address.value.trim().split(/[?#]/)[0].split("/").pop() ?? "";
        // The page of the link is on this origin, whatever the address says.
        if (SECRET.test(secret)) location.assign(`/l/${secret}`);
        else error.textContent = TEXT.linkInvalid;
      },
    },
    labelled(TEXT.linkAddress, address),
    error,
    element("button", {}, TEXT.openLink),
  );
}

function showSignIn() {
  const form = signInForm("", async (id, secret) => {
    await session.signIn(id, secret);
    await showConsole();
  });
  const wasLink = location.hash === "#/link";
  app.replaceChildren(
    element(
      "main",
      { class: "welcome" },
      element("div", { class: "sign-in" }, element("h1", {}, "Ferry"), form),
      element(
        "div",
        { class: "sign-in" },
        element("h2", {}, TEXT.openLinkTitle),
        wasLink ? element("p", { class: "muted" }, TEXT.linkReload) : null,
        linkForm(),
      ),
    ),
  );
  /** @type {HTMLElement} */ (app.querySelector(wasLink ? ".sign-in + .sign-in input" : "input")).focus();
}

/** @returns {{views: Record<string, {label: string, root: HTMLElement, open: (rest: string[]) => unknown, close?: () => void}>, files: FilesView, uploads: UploadsView}} */
function makeViews() {
  const scopes = String(session.grant.scope ?? "").split(" ");
  const rights = { write: scopes.includes("files:write"), share: scopes.includes("files:share") };
  const uploads = new UploadsView(session, () => void files.load(), { canList: true });
  const files = new FilesView(session, {
    rights,
    navigate: (prefix) => {
      location.hash = `#/files/${prefix.split("/").map(encodeURIComponent).join("/")}`;
    },
    upload: rights.write
      ? (chosen, prefix) => {
          uploads.add(chosen, prefix);
          location.hash = "#/uploads";
        }
      : undefined,
  });
  const deleted = new DeletedView(session);
  const links = new LinksView(session);
  const views = {
    files: {
      label: TEXT.files,
      root: files.root,
      open: (/** @type {string[]} */ rest) => files.open(decodePath(rest)),
    },
    ...(rights.write
      ? {
          uploads: {
            label: TEXT.uploads,
            root: uploads.root,
            open: () => uploads.open(),
            close: () => uploads.close(),
          },
        }
      : {}),
    ...(rights.share ? { links: { label: TEXT.links, root: links.root, open: () => links.load() } } : {}),
    ...(rights.write ? { deleted: { label: TEXT.deleted, root: deleted.root, open: () => deleted.load() } } : {}),
  };
  return { views, files, uploads };
}

/** @param {string[]} segments percent-encoded @returns {string} a prefix; empty where they are no text */
function decodePath(segments) {
  try {
    return segments.map(decodeURIComponent).join("/");
  } catch {
    return "";
  }
}

async function showConsole() {
  const { views, files, uploads } = makeViews();
  const usage = element("span", { class: "usage muted" });
  const offline = element("p", { class: "offline", role: "status" });
  const main = element("main", { tabindex: "-1" });
  const notices = element("div", { class: "cards notices" });
  const tabs = Object.entries(views).map(([page, { label }]) =>
    button(
      label,
      () => {
        location.hash = `#/${page}`;
      },
      { "data-page": page },
    ),
  );
  session.onConnection = (isUp) => {
    offline.textContent = isUp ? "" : TEXT.offline;
  };
  app.replaceChildren(
    element(
      "header",
      { class: "top" },
      element("h1", {}, "Ferry"),
      element("nav", { "aria-label": "Ferry" }, ...tabs, element("a", { href: "/docs" }, TEXT.docs)),
      usage,
      button(TEXT.signOut, () => {
        session.signOut();
        location.hash = "";
        location.reload();
      }),
    ),
    offline,
    main,
  );

  let current = views.files;
  const route = () => {
    const [, page = "", ...rest] = location.hash.split("/");
    current.close?.();
    const name = page in views ? page : "files";
    current = views[name];
    for (const tab of tabs) {
      if (tab.dataset.page === name) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    document.title = `${current.label} · Ferry`;
    main.replaceChildren(notices, current.root);
    void current.open(page in views ? rest : []);
    // The control that led here may be gone with its view.
    focusView();
    void showUsage(usage);
  };
  window.onhashchange = route;
  if (files.upload) {
    acceptDrops(document.body, (dropped, handles) => {
      uploads.add(dropped, location.hash.startsWith("#/uploads") ? "" : files.prefix, handles);
      location.hash = "#/uploads";
    });
  }
  window.addEventListener("beforeunload", (event) => {
    if (uploads.isBusy) event.preventDefault();
  });
  route();
  notices.replaceChildren(...(await interruptedMoves(session, () => void files.load())));
}

/** @param {HTMLElement} place */
async function showUsage(place) {
  try {
    const { limits, used } = await session.json("GET", "/usage");
    const parts = [];
    if (limits?.bytes) parts.push(TEXT.quota(formatBytes(used?.bytes ?? 0), formatBytes(limits.bytes)));
    if (limits?.uploads) parts.push(TEXT.quotaUploads(formatCount(used?.uploads ?? 0), formatCount(limits.uploads)));
    const meter = limits?.bytes
      ? element("meter", {
          min: 0,
          max: limits.bytes,
          value: used?.bytes ?? 0,
          high: limits.bytes * 0.9,
          "aria-label": TEXT.usage,
        })
      : null;
    place.replaceChildren(...(meter ? [meter, " "] : []), parts.join(" · "));
  } catch {
    place.replaceChildren();
  }
}

showSignIn();
void removeLeftovers().catch(() => {});
