// @ts-check
import { button, element, input, labelled, showDialog, toast } from "./dom.js";
import { describe } from "./errors.js";
import { qrImage } from "./qr.js";
import { TEXT } from "./strings.js";

const SECONDS = { minutes: 60, hours: 3600, days: 86_400 };
const BYTES = { MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };

const MIN_LIFETIME_SECONDS = 60;
const MAX_LIFETIME_SECONDS = 90 * SECONDS.days;

/** Names of the fields, by the members of the request. */
const FIELDS = {
  expires_in: TEXT.expiresIn,
  filename: TEXT.name,
  label: TEXT.label,
  max_bytes: TEXT.maxBytes,
  max_downloads: TEXT.maxDownloads,
  max_files: TEXT.maxFiles,
  password: TEXT.password,
  prefix: TEXT.uploadPrefix,
};

/** @typedef {{filename?: string, prefix?: string}} Subject a file, a folder, or neither for a new folder of an upload link */

/** Ask for the options of a link, create it, and show its address once. @param {import("./api.js").Session} session @param {Subject} subject @returns {Promise<boolean>} whether there is a new link */
export async function share(session, subject) {
  const title = subject.filename ?? subject.prefix ?? TEXT.newUploadLink;
  const link = /** @type {any} */ (
    await showDialog(`${TEXT.share}: ${title}`, (close) => [form(session, subject, close)])
  );
  if (!link) return false;
  await showAddress(link.url);
  return true;
}

/** @typedef {{nodes: (Node | null)[], read: () => Record<string, unknown>}} Fields a part of the form, and the members that it gives */

/** @param {import("./api.js").Session} session @param {Subject} subject @param {(link?: unknown) => void} close */
function form(session, subject, close) {
  const error = element("p", { class: "error", role: "alert" });
  const send = /** @type {HTMLButtonElement} */ (element("button", { class: "primary" }, TEXT.createLink));
  const parts = [subjectFields(subject), lifetimeFields(), passwordFields()];
  const submit = async () => {
    send.disabled = true;
    error.textContent = "";
    try {
      const members = Object.assign({}, ...parts.map((part) => part.read()));
      close(await session.json("POST", "/links", { json: members, isRepeatable: false }));
    } catch (failure) {
      error.textContent = explain(failure);
    } finally {
      send.disabled = false;
    }
  };
  return element(
    "form",
    {
      class: "share",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void submit();
      },
    },
    ...parts.flatMap((part) => part.nodes),
    error,
    element(
      "div",
      { class: "buttons" },
      button(TEXT.cancel, () => close()),
      send,
    ),
  );
}

/** @param {Subject} subject @returns {Fields} what is shared, its label, and the limits of its kind */
function subjectFields(subject) {
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
  const folder = input({ maxlength: 1000, autocomplete: "off", spellcheck: "false" });
  const label = input({ maxlength: 200, autocomplete: "off" });
  const limits = { download: downloadFields(), upload: uploadFields() };
  const boxes = Object.entries(limits).map(([name, { nodes }]) => ({
    name,
    // What is disabled is neither checked nor sent.
    box: /** @type {HTMLFieldSetElement} */ (element("fieldset", {}, ...nodes)),
  }));
  const showKind = () => {
    for (const { name, box } of boxes) box.hidden = box.disabled = name !== kind.value;
  };
  kind.addEventListener("change", showKind);
  showKind();
  return {
    nodes: [
      isFile || isFree ? null : labelled(TEXT.kind, kind),
      isFree ? labelled(TEXT.uploadPrefix, folder, TEXT.uploadPrefixHint) : null,
      labelled(TEXT.label, label, TEXT.labelHint),
      ...boxes.map(({ box }) => box),
    ],
    read: () => {
      const name = isFree ? folder.value.normalize("NFC") : (subject.prefix ?? "");
      const prefix = name && !name.endsWith("/") ? `${name}/` : name;
      return {
        kind: kind.value,
        ...(isFile ? { filename: subject.filename } : prefix ? { prefix } : {}),
        ...(label.value ? { label: label.value } : {}),
        ...limits[/** @type {keyof typeof limits} */ (kind.value)].read(),
      };
    },
  };
}

/** @returns {Fields} */
function downloadFields() {
  const most = number("", { max: "10000", placeholder: TEXT.serviceDefault });
  const isUnlimited = input({ type: "checkbox" });
  isUnlimited.addEventListener("change", () => {
    most.disabled = isUnlimited.checked;
  });
  return {
    nodes: [labelled(TEXT.maxDownloads, most), check(TEXT.limitless, isUnlimited)],
    read: () =>
      isUnlimited.checked ? { max_downloads: null } : most.value ? { max_downloads: Number(most.value) } : {},
  };
}

/** @returns {Fields} */
function uploadFields() {
  const files = number("", { max: "5000", placeholder: TEXT.serviceDefault });
  const bytes = number("", { step: "any", placeholder: TEXT.serviceDefault });
  const unit = unitSelect(BYTES, "GiB", TEXT.maxBytes);
  return {
    nodes: [labelled(TEXT.maxFiles, files), labelled(TEXT.maxBytes, element("span", { class: "pair" }, bytes, unit))],
    read: () => ({
      ...(files.value ? { max_files: Number(files.value) } : {}),
      ...(bytes.value ? { max_bytes: product(bytes, unit, BYTES) } : {}),
    }),
  };
}

/** @returns {Fields} */
function lifetimeFields() {
  const lifetime = number("7", { step: "any", required: true });
  const unit = unitSelect(SECONDS, "days", TEXT.expiresIn);
  const validate = () => {
    const seconds = product(lifetime, unit, SECONDS);
    const isAllowed = seconds >= MIN_LIFETIME_SECONDS && seconds <= MAX_LIFETIME_SECONDS;
    lifetime.setCustomValidity(isAllowed ? "" : TEXT.lifetimeRange);
  };
  lifetime.addEventListener("input", validate);
  unit.addEventListener("change", validate);
  return {
    nodes: [labelled(TEXT.expiresIn, element("span", { class: "pair" }, lifetime, unit))],
    read: () => ({ expires_in: product(lifetime, unit, SECONDS) }),
  };
}

/** @returns {Fields} */
function passwordFields() {
  const password = input({ type: "password", minlength: 8, maxlength: 256, autocomplete: "new-password" });
  const isShown = input({
    type: "checkbox",
    onchange: () => {
      password.type = isShown.checked ? "text" : "password";
    },
  });
  return {
    nodes: [labelled(TEXT.password, password, TEXT.passwordHint), check(TEXT.showPassword, isShown)],
    read: () => (password.value ? { password: password.value } : {}),
  };
}

/** @param {HTMLInputElement} field @param {HTMLSelectElement} unit @param {Record<string, number>} units */
function product(field, unit, units) {
  return Math.round(Number(field.value) * units[unit.value]);
}

/** @param {any} failure @returns {string} what is wrong, by the names that the fields have here */
function explain(failure) {
  const wrong = (failure.members?.errors ?? []).map((/** @type {any} */ each) => {
    const member = String(each.loc?.[0] ?? "");
    return `${/** @type {Record<string, string>} */ (FIELDS)[member] ?? member}: ${each.msg}`;
  });
  return wrong.length ? wrong.join(" ") : describe(failure);
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
  await showDialog(TEXT.link, (close) =>
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

/** @param {string} value @param {Record<string, unknown>} attributes */
function number(value, attributes) {
  return input({ type: "number", min: attributes.step ? "0.001" : "1", value, inputmode: "decimal", ...attributes });
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
