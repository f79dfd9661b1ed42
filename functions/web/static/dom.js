// @ts-check
import { TEXT } from "./strings.js";

/** Characters that turn the text after them around: with them `file‹U+202E›gpj.exe` reads as `fileexe.jpg`. */
const DIRECTION_CHANGES = /[\u202a-\u202e\u2066-\u2069]/g;
const READ_ATTRIBUTES = new Set(["alt", "aria-label", "title"]);

/** @param {string} text @returns {string} with characters that turn text around shown as such */
export function legible(text) {
  return text.replace(DIRECTION_CHANGES, "\ufffd");
}

/**
 * Build an element. Text is always set as text, so that no name can become markup, and stays in its direction.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] `on…` are listeners, `class` and others are attributes; false and null leave one out
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name === "value") /** @type {HTMLInputElement} */ (node).value = String(value);
    else if (name === "checked" || name === "disabled") /** @type {any} */ (node)[name] = Boolean(value);
    else if (value === true) node.setAttribute(name, "");
    else node.setAttribute(name, READ_ATTRIBUTES.has(name) ? legible(String(value)) : String(value));
  }
  for (const child of children) {
    if (child !== null && child !== undefined) node.append(typeof child === "string" ? legible(child) : child);
  }
  return node;
}

/** @param {string} label @param {() => void} action @param {Record<string, unknown>} [attributes] */
export function button(label, action, attributes = {}) {
  return /** @type {HTMLButtonElement} */ (
    element("button", { type: "button", onclick: action, ...attributes }, label)
  );
}

/** @param {Record<string, unknown>} attributes */
export function input(attributes) {
  return /** @type {HTMLInputElement} */ (element("input", attributes));
}

let nextHintId = 1;

/** @param {string} label @param {HTMLElement} field @param {string} [hint] @returns {HTMLElement} a field with its name above it */
export function labelled(label, field, hint) {
  const named = element("label", { class: "field" }, element("span", {}, label), field);
  if (!hint) return named;
  const id = `hint-${nextHintId}`;
  nextHintId += 1;
  field.setAttribute("aria-describedby", id);
  return element("div", {}, named, element("span", { class: "muted hint", id }, hint));
}

/** Announce a text to screen readers. @param {string} text */
export function announce(text) {
  const region = document.getElementById("announcements");
  if (region) region.textContent = text;
}

/**
 * Rebuild a part of the page, and keep the focus on the control with the same `data-key`; where it is gone, on the row
 * that took its place.
 * @param {HTMLElement} root can have the focus itself
 * @param {() => void} render
 */
export function keepFocus(root, render) {
  const active = document.activeElement;
  if (!active || !root.contains(active)) {
    render();
    return;
  }
  const key = active.getAttribute("data-key");
  const row = rowsOf(root).findIndex((each) => each.contains(active));
  const selection = active instanceof HTMLInputElement && active.type === "search" ? active.selectionStart : null;
  render();
  if (root.contains(document.activeElement)) return;
  const same = key ? /** @type {HTMLInputElement | null} */ (root.querySelector(keySelector(key))) : null;
  const near = row < 0 ? null : (rowsOf(root)[row] ?? rowsOf(root).at(-1));
  (same ?? /** @type {HTMLElement | null | undefined} */ (near?.querySelector("button")) ?? root).focus();
  if (selection !== null) same?.setSelectionRange(selection, selection);
}

/** @param {HTMLElement} root @returns {Element[]} */
function rowsOf(root) {
  return [...root.querySelectorAll("tbody tr, li.card")];
}

/** @param {string} key @returns {string} */
function keySelector(key) {
  return `[data-key="${CSS.escape(key)}"]`;
}

/** Move the focus to the view, where the control that had it is gone. */
export function focusView() {
  if (document.activeElement && document.activeElement !== document.body) return;
  const view = document.querySelector("main section[tabindex]") ?? document.querySelector("main");
  /** @type {HTMLElement | null} */ (view)?.focus();
}

/**
 * Show a dialog, and resolve with its result when it is closed.
 * @param {string} title
 * @param {(close: (result?: unknown) => void) => Node[]} build returns the content
 * @returns {Promise<unknown>}
 */
export function showDialog(title, build) {
  return new Promise((resolve) => {
    const opener = /** @type {HTMLElement | null} */ (document.activeElement);
    const key = opener?.getAttribute("data-key");
    const box = /** @type {HTMLDialogElement} */ (element("dialog", { "aria-label": title }));
    /** @type {unknown} */
    let result;
    box.append(
      element("h2", {}, title),
      ...build((value) => {
        result = value;
        box.close();
      }),
    );
    box.addEventListener("close", () => {
      box.remove();
      resolve(result);
      const again = key ? /** @type {HTMLElement | null} */ (document.querySelector(keySelector(key))) : null;
      if (opener?.isConnected) opener.focus();
      else (again ?? document.querySelector("main"))?.focus();
    });
    document.body.append(box);
    box.showModal();
  });
}

/** @param {string} title @param {string} text @param {string} label @returns {Promise<boolean>} whether the action was confirmed */
export async function confirmed(title, text, label) {
  return Boolean(
    await showDialog(title, (close) => [
      element("p", {}, text),
      element(
        "div",
        { class: "buttons" },
        button(TEXT.cancel, () => close()),
        button(label, () => close(true), { class: "danger" }),
      ),
    ]),
  );
}

/** Show a message for some seconds. @param {string} text @param {string} [label] @param {() => void} [action] */
export function toast(text, label, action) {
  document.querySelector(".toast")?.remove();
  const box = element("div", { class: "toast" }, element("span", {}, text));
  if (label && action) {
    const act = () => {
      box.remove();
      focusView();
      action();
    };
    box.append(button(label, act));
  }
  const dismiss = () => {
    // The person is using its button.
    if (box.matches(":focus-within, :hover")) setTimeout(dismiss, 1_000);
    else box.remove();
  };
  // A message is above a dialog, too.
  (document.querySelector("dialog[open]") ?? document.body).append(box);
  announce(text);
  setTimeout(dismiss, action ? 20_000 : 8_000);
}

const DOWNLOAD_FRAME_MS = 60_000;

/**
 * Download from an address of S3, whose response is an attachment. In a frame, neither the download nor an error of S3
 * replaces the page, so uploads continue.
 * @param {string} src
 */
export function downloadFrom(src) {
  const frame = element("iframe", { src, title: TEXT.download, hidden: true, referrerpolicy: "no-referrer" });
  document.body.append(frame);
  setTimeout(() => frame.remove(), DOWNLOAD_FRAME_MS);
}

/** Save a blob as a file. @param {string} href its address @param {string} name */
export function saveAs(href, name) {
  const anchor = element("a", { href, download: name, rel: "noreferrer" });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
}
