// @ts-check
import { button, dialogue, element, input, labelled, toast } from "./dom.js";
import { describe } from "./listing.js";
import { qrImage } from "./qr.js";
import { TEXT } from "./strings.js";

const SECONDS = { minutes: 60, hours: 3600, days: 86_400 };
const BYTES = { MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };

/** @typedef {{filename?: string, prefix?: string}} Subject a file, a folder, or neither for a new folder of an upload link */

/** Ask for the options of a link, create it, and show its address once. @param {import("./api.js").Session} session @param {Subject} subject @returns {Promise<boolean>} whether there is a new link */
export async function share(session, subject) {
  const title = subject.filename ?? subject.prefix ?? TEXT.newUploadLink;
  const link = /** @type {any} */ (
    await dialogue(`${TEXT.share}: ${title}`, (close) => [form(session, subject, close)])
  );
  if (!link) return false;
  await showAddress(link.url);
  return true;
}

/** @param {import("./api.js").Session} session @param {Subject} subject @param {(link?: unknown) => void} close */
function form(session, subject, close) {
  const error = element("p", { class: "error", role: "alert" });
  const isFile = subject.filename !== undefined;
  const isFree = !isFile && subject.prefix === undefined;
  const kind = /** @type {HTMLSelectElement} */ (
    element(
      "select",
      {},
      element("option", { value: "download" }, TEXT.kindDownload),
      element("option", { value: "upload" }, TEXT.kindUpload),
    )
  );
  if (isFree) kind.value = "upload";
  const prefix = input({ value: "", maxlength: 1000, autocomplete: "off", spellcheck: "false" });
  const label = input({ maxlength: 200, autocomplete: "off" });
  const [lifetime, lifetimeUnit] = [number("7"), unitSelect(SECONDS, "days", TEXT.expiresIn)];
  const maxDownloads = number("1000", 10_000);
  const isUnlimited = input({ type: "checkbox" });
  isUnlimited.addEventListener("change", () => {
    maxDownloads.disabled = isUnlimited.checked;
  });
  const maxFiles = number("1000", 5_000);
  const [maxBytes, maxBytesUnit] = [number("100"), unitSelect(BYTES, "GiB", TEXT.maxBytes)];
  const password = input({ type: "password", minlength: 8, maxlength: 256, autocomplete: "new-password" });
  const isShown = input({
    type: "checkbox",
    onchange: () => {
      password.type = isShown.checked ? "text" : "password";
    },
  });
  const downloads = element(
    "div",
    { class: "group" },
    labelled(TEXT.maxDownloads, maxDownloads),
    check(TEXT.limitless, isUnlimited),
  );
  const uploads = element(
    "div",
    { class: "group" },
    labelled(TEXT.maxFiles, maxFiles),
    labelled(TEXT.maxBytes, element("span", { class: "pair" }, maxBytes, maxBytesUnit)),
  );
  const showKind = () => {
    downloads.hidden = kind.value !== "download";
    uploads.hidden = kind.value !== "upload";
    for (const [box, fields] of /** @type {[HTMLElement, HTMLInputElement[]][]} */ ([
      [downloads, [maxDownloads]],
      [uploads, [maxFiles, maxBytes]],
    ])) {
      for (const field of fields) field.required = !box.hidden;
    }
  };
  kind.addEventListener("change", showKind);
  showKind();

  const members = () => {
    const isUpload = kind.value === "upload";
    const folder = isFree ? prefix.value.normalize("NFC") : (subject.prefix ?? "");
    const where = folder && !folder.endsWith("/") ? `${folder}/` : folder;
    return {
      kind: kind.value,
      ...(isFile ? { filename: subject.filename } : where ? { prefix: where } : {}),
      expires_in: Math.round(
        Number(lifetime.value) * SECONDS[/** @type {keyof typeof SECONDS} */ (lifetimeUnit.value)],
      ),
      ...(isUpload
        ? {
            max_files: Number(maxFiles.value),
            max_bytes: Math.round(
              Number(maxBytes.value) * BYTES[/** @type {keyof typeof BYTES} */ (maxBytesUnit.value)],
            ),
          }
        : { max_downloads: isUnlimited.checked ? null : Number(maxDownloads.value) }),
      ...(password.value ? { password: password.value } : {}),
      ...(label.value ? { label: label.value } : {}),
    };
  };
  const send = /** @type {HTMLButtonElement} */ (element("button", { class: "primary" }, TEXT.createLink));
  return element(
    "form",
    {
      class: "share",
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        send.disabled = true;
        error.textContent = "";
        try {
          close(await session.json("POST", "/links", { json: members(), isRepeatable: false }));
        } catch (failure) {
          error.textContent = explain(failure);
        } finally {
          send.disabled = false;
        }
      },
    },
    isFile || isFree ? null : labelled(TEXT.kind, kind),
    isFree ? labelled(TEXT.uploadPrefix, prefix, TEXT.uploadPrefixHint) : null,
    labelled(TEXT.label, label, TEXT.labelHint),
    labelled(TEXT.expiresIn, element("span", { class: "pair" }, lifetime, lifetimeUnit)),
    downloads,
    uploads,
    labelled(TEXT.password, password, TEXT.passwordHint),
    check(TEXT.showPassword, isShown),
    error,
    element(
      "div",
      { class: "buttons" },
      button(TEXT.cancel, () => close()),
      send,
    ),
  );
}

/** @param {any} failure @returns {string} the error, with the members that are wrong */
function explain(failure) {
  const wrong = (failure.members?.errors ?? []).map(
    (/** @type {any} */ each) => `${each.loc?.join?.(".") ?? each.loc}: ${each.msg}`,
  );
  return [describe(failure), ...wrong].join(" ");
}

/** Show the address of a new link. @param {string} url */
async function showAddress(url) {
  const field = input({ value: url, readonly: true, "aria-label": TEXT.linkAddress, class: "address" });
  field.addEventListener("focus", () => field.select());
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(url);
      toast(TEXT.copied);
    } catch {
      field.focus();
    }
  };
  await dialogue(TEXT.link, (close) =>
    [
      element("p", {}, TEXT.addressOnce),
      element(
        "div",
        { class: "pair" },
        field,
        button(TEXT.copy, () => void copy(), { class: "primary", autofocus: true }),
      ),
      qrImage(url, TEXT.qr) ?? "",
      element(
        "div",
        { class: "buttons" },
        button(TEXT.done, () => close()),
      ),
    ].map((node) => (typeof node === "string" ? document.createTextNode(node) : node)),
  );
}

/** @param {string} value @param {number} [max] */
function number(value, max) {
  return input({ type: "number", min: "1", max, step: max ? "1" : "any", value, required: true, inputmode: "numeric" });
}

/** @param {Record<string, number>} units @param {string} chosen @param {string} label */
function unitSelect(units, chosen, label) {
  const select = /** @type {HTMLSelectElement} */ (
    element(
      "select",
      { "aria-label": `${label}: ${TEXT.unit}` },
      ...Object.keys(units).map((unit) => element("option", { value: unit }, /** @type {any} */ (TEXT)[unit] ?? unit)),
    )
  );
  select.value = chosen;
  return select;
}

/** @param {string} label @param {HTMLInputElement} box */
function check(label, box) {
  return element("label", { class: "check" }, box, element("span", {}, label));
}
