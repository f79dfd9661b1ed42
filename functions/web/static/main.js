// @ts-check
import { ApiError, Session } from "./api.js";
import { DeletedView } from "./deleted_view.js";
import { button, dialogue, element } from "./dom.js";
import { acceptDrops } from "./drop.js";
import { FilesView } from "./files_view.js";
import { formatBytes } from "./format.js";
import { TEXT } from "./strings.js";
import { UploadsView } from "./uploads_view.js";

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const session = new Session(askAgain);

/** @param {string} message @param {(id: string, secret: string) => Promise<void>} submit @returns {HTMLElement} */
function signInForm(message, submit) {
  const id = /** @type {HTMLInputElement} */ (element("input", { id: "client-id", autocomplete: "username", required: true }));
  const secret = /** @type {HTMLInputElement} */ (element("input", { id: "client-secret", type: "password", autocomplete: "current-password", required: true }));
  const error = element("p", { class: "error", role: "alert" }, message);
  const send = /** @type {HTMLButtonElement} */ (element("button", { class: "primary" }, TEXT.signIn));
  return element("form", {
    onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      send.disabled = true;
      error.textContent = "";
      try {
        await submit(id.value, secret.value);
      } catch (failure) {
        const isRejected = failure instanceof ApiError && failure.status < 500;
        error.textContent = isRejected ? TEXT.signInFailed : TEXT.networkDown;
        secret.focus();
      } finally {
        send.disabled = false;
      }
    },
  }, element("label", { for: "client-id" }, TEXT.clientId, id), element("label", { for: "client-secret" }, TEXT.clientSecret, secret), error, send);
}

/** Ask for id and secret in a dialogue, while uploads wait. @returns {Promise<{id: string, secret: string} | null>} */
async function askAgain() {
  return /** @type {any} */ (await dialogue(TEXT.signIn, (close) => [
    signInForm(TEXT.signInAgain, async (id, secret) => close({ id, secret })),
  ]));
}

function showSignIn() {
  const form = signInForm("", async (id, secret) => {
    await session.signIn(id, secret);
    showConsole();
  });
  app.replaceChildren(element("main", {}, element("div", { class: "sign-in" }, element("h1", {}, "Ferry"), form)));
  /** @type {HTMLElement} */ (form.querySelector("input")).focus();
}

function showConsole() {
  const uploads = new UploadsView(session, () => void files.load());
  const navigate = (/** @type {string} */ prefix) => {
    location.hash = `#/files/${prefix.split("/").map(encodeURIComponent).join("/")}`;
  };
  const files = new FilesView(session, (chosen, prefix) => {
    uploads.add(chosen, prefix);
    location.hash = "#/uploads";
  }, navigate);
  const deleted = new DeletedView(session);
  const usage = element("span", { class: "muted" });
  const main = element("main", { tabindex: "-1" });
  const pages = { files: TEXT.files, uploads: TEXT.uploads, deleted: TEXT.deleted };
  const links = Object.entries(pages).map(([page, label]) => button(label, () => {
    location.hash = `#/${page}`;
  }, { "data-page": page }));
  app.replaceChildren(
    element("header", { class: "top" }, element("h1", {}, "Ferry"), element("nav", { "aria-label": "Ferry" }, ...links,
      element("a", { href: "/docs" }, TEXT.docs)), usage, button(TEXT.signOut, () => {
      session.signOut();
      location.hash = "";
      location.reload();
    })),
    main);

  const route = () => {
    const [, page = "files", ...rest] = location.hash.split("/");
    for (const link of links) {
      if (link.dataset.page === page) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    uploads.close();
    if (page === "uploads") {
      main.replaceChildren(uploads.root);
      uploads.open();
    } else if (page === "deleted") {
      main.replaceChildren(deleted.root);
      void deleted.load();
    } else {
      main.replaceChildren(files.root);
      void files.open(rest.map(decodeURIComponent).join("/"));
    }
    void showUsage(usage);
  };
  window.onhashchange = route;
  acceptDrops(document.body, (dropped, handles) => {
    uploads.add(dropped, location.hash.startsWith("#/uploads") ? "" : files.prefix, handles);
    location.hash = "#/uploads";
  });
  window.addEventListener("beforeunload", (event) => {
    if (uploads.isBusy) event.preventDefault();
  });
  route();
}

/** @param {HTMLElement} place */
async function showUsage(place) {
  try {
    const usage = await session.json("GET", "/usage");
    const limit = usage.limits?.bytes ?? usage.limits?.max_bytes;
    const used = usage.used?.bytes ?? usage.used?.used_bytes ?? 0;
    place.textContent = limit ? TEXT.quota(formatBytes(used), formatBytes(limit)) : "";
  } catch {
    place.textContent = "";
  }
}

showSignIn();
