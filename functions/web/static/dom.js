// @ts-check
/**
 * Build an element. Text is always set as text, so that no name can become markup.
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
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** @param {string} label @param {() => void} action @param {Record<string, unknown>} [attributes] */
export function button(label, action, attributes = {}) {
  return /** @type {HTMLButtonElement} */ (element("button", { type: "button", onclick: action, ...attributes }, label));
}

/** Tell screen readers. @param {string} text */
export function announce(text) {
  const region = document.getElementById("announcements");
  if (region) region.textContent = text;
}

/**
 * Show a dialogue, and resolve with its result when it is closed.
 * @param {string} title
 * @param {(close: (result?: unknown) => void) => Node[]} build returns the content
 * @returns {Promise<unknown>}
 */
export function dialogue(title, build) {
  return new Promise((resolve) => {
    const opener = /** @type {HTMLElement | null} */ (document.activeElement);
    const box = /** @type {HTMLDialogElement} */ (element("dialog", { "aria-label": title }));
    let result;
    box.append(element("h2", {}, title), ...build((value) => {
      result = value;
      box.close();
    }));
    box.addEventListener("close", () => {
      box.remove();
      opener?.focus();
      resolve(result);
    });
    document.body.append(box);
    box.showModal();
  });
}

/** Show a message for some seconds. @param {string} text @param {string} [label] @param {() => void} [action] */
export function toast(text, label, action) {
  document.querySelector(".toast")?.remove();
  const box = element("div", { class: "toast" }, text);
  if (label && action) box.append(button(label, () => {
    box.remove();
    action();
  }));
  document.body.append(box);
  announce(text);
  setTimeout(() => box.remove(), 10_000);
}
