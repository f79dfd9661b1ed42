// @ts-check
/** The API's document as a page: each operation, its parameters and responses, and a form that sends it. */
import { ClientSession } from "./api.js";
import { announce, button, element } from "./dom.js";
import { TEXT } from "./strings.js";

const METHODS = ["get", "head", "put", "post", "patch", "delete"];
const MAX_SHOWN_CHARACTERS = 20_000;

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const session = new ClientSession(async () => null);
let isSignedIn = false;

/** @param {any} document @param {any} value @returns {any} what a `$ref` names */
function resolve(document, value) {
  const reference = value?.$ref;
  if (!reference) return value;
  return reference
    .slice(2)
    .split("/")
    .reduce((/** @type {any} */ node, /** @type {string} */ key) => node[key], document);
}

/** @param {any} schema @returns {string} a short name of a type */
function typeName(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((/** @type {unknown} */ each) => JSON.stringify(each)).join(" | ");
  if (schema.anyOf || schema.oneOf) return (schema.anyOf ?? schema.oneOf).map(typeName).join(" | ");
  if (schema.type === "array") return `${typeName(schema.items)}[]`;
  return schema.format ? `${schema.type} (${schema.format})` : String(schema.type ?? "any");
}

/** @param {any} document @param {any} content @returns {Node | null} */
function schemaTable(document, content) {
  const schema = resolve(document, content?.schema);
  if (!schema?.properties) return null;
  const required = new Set(schema.required ?? []);
  return element(
    "table",
    {},
    element(
      "tbody",
      {},
      ...Object.entries(schema.properties).map(([name, property]) =>
        element(
          "tr",
          {},
          element("td", {}, element("code", {}, name), required.has(name) ? " *" : ""),
          element("td", {}, typeName(property)),
          prose("td", /** @type {any} */ (property).description),
        ),
      ),
    ),
  );
}

/** @param {string} tag @param {string} [text] prose with `code` @returns {HTMLElement} */
function prose(tag, text = "") {
  return element(tag, {}, ...text.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part)));
}

/** @param {any} document @param {string} method @param {string} path @param {any} operation */
function operationCard(document, method, path, operation) {
  const details = element(
    "details",
    { class: "card", id: operation.operationId },
    element("summary", {}, element("code", {}, `${method.toUpperCase()} ${path}`), ` ${operation.summary ?? ""}`),
  );
  details.addEventListener(
    "toggle",
    () => {
      if (details.childElementCount === 1) details.append(...operationBody(document, method, path, operation));
    },
    { once: true },
  );
  return details;
}

/** @param {any} document @param {string} method @param {string} path @param {any} operation @returns {Node[]} */
function operationBody(document, method, path, operation) {
  const parameters = (operation.parameters ?? []).map((/** @type {any} */ each) => resolve(document, each));
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  /** @type {Node[]} */
  const parts = [prose("p", operation.description)];
  for (const [type, content] of bodies) {
    const table = schemaTable(document, content);
    if (table) parts.push(element("h3", {}, type), table);
  }
  const responses = Object.entries(operation.responses ?? {}).map(([status, response]) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", {}, status)),
      prose("td", resolve(document, response).description),
    ),
  );
  parts.push(element("h3", {}, TEXT.docsResponses), element("table", {}, element("tbody", {}, ...responses)));
  parts.push(tryForm(method, path, parameters, bodies));
  return parts;
}

/** @param {string} method @param {string} path @param {any[]} parameters @param {[string, any][]} bodies @returns {HTMLElement} */
function tryForm(method, path, parameters, bodies) {
  const fields = parameters.map((parameter) => {
    const example = parameter.example ?? parameter.schema?.default ?? "";
    const input = /** @type {HTMLInputElement} */ (
      element("input", { value: parameter.required ? example : "", placeholder: String(example) })
    );
    const row = element(
      "label",
      {},
      `${parameter.name} (${parameter.in}${parameter.required ? `, ${TEXT.docsRequired}` : ""}) `,
      input,
    );
    if (parameter.description) row.append(element("span", { class: "muted" }, ` ${parameter.description}`));
    return { parameter, input, row };
  });
  const [type, content] = bodies.find(([each]) => each.includes("json")) ?? bodies[0] ?? ["", null];
  const example = content?.example ?? content?.examples?.[Object.keys(content.examples)[0]]?.value;
  const body = /** @type {HTMLTextAreaElement} */ (element("textarea", { rows: "6", "aria-label": TEXT.docsBody }));
  body.value = example === undefined ? "" : typeof example === "string" ? example : JSON.stringify(example, null, 1);
  const output = element("pre", { "aria-live": "polite" });
  return element(
    "form",
    {
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        output.textContent = TEXT.loading;
        output.textContent = await send(method, path, fields, type, body.value);
        announce(TEXT.docsResponded);
      },
    },
    element("h3", {}, TEXT.docsTry),
    ...fields.map((field) => field.row),
    type ? element("label", {}, type, body) : null,
    element("button", { class: "primary" }, TEXT.docsSend),
    output,
  );
}

/** @param {string} method @param {string} path @param {any[]} fields @param {string} type @param {string} body @returns {Promise<string>} */
async function send(method, path, fields, type, body) {
  let target = path;
  const query = new URLSearchParams();
  /** @type {Record<string, string>} */
  const headers = type && body ? { "Content-Type": type } : {};
  for (const { parameter, input } of fields) {
    if (!input.value) continue;
    if (parameter.in === "path") {
      target = target.replace(
        new RegExp(`\\{${parameter.name}\\+?\\}`),
        input.value.split("/").map(encodeURIComponent).join("/"),
      );
    } else if (parameter.in === "query") query.set(parameter.name, input.value);
    else headers[parameter.name] = input.value;
  }
  const url = query.size ? `${target}?${query}` : target;
  try {
    // Sent once: the page shows the first response, errors too.
    if (isSignedIn) headers.Authorization = `Bearer ${await session.validToken()}`;
    const response = await fetch(url, {
      method: method.toUpperCase(),
      headers,
      body: body && method !== "get" && method !== "head" ? body : undefined,
      credentials: "omit",
      redirect: isSignedIn ? "follow" : "manual",
    });
    return await describe(response);
  } catch (error) {
    return String(error);
  }
}

/** @param {Response} response @returns {Promise<string>} */
async function describe(response) {
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  const text = pretty(await response.text()).slice(0, MAX_SHOWN_CHARACTERS);
  return `${response.status || TEXT.docsRedirect}\n${headers}\n\n${text}`;
}

/** @param {string} text @returns {string} JSON with indents, and any other text as it is */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function signInCard() {
  const id = /** @type {HTMLInputElement} */ (
    element("input", { "aria-label": TEXT.clientId, placeholder: TEXT.clientId, autocomplete: "username" })
  );
  const secret = /** @type {HTMLInputElement} */ (
    element("input", {
      "aria-label": TEXT.clientSecret,
      placeholder: TEXT.clientSecret,
      type: "password",
      autocomplete: "current-password",
    })
  );
  const result = element("span", { role: "status" });
  return element(
    "form",
    {
      class: "toolbar",
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        try {
          await session.signIn(id.value, secret.value);
          isSignedIn = true;
          result.textContent = TEXT.docsSignedIn;
        } catch {
          result.textContent = TEXT.signInFailed;
        }
        secret.value = "";
      },
    },
    id,
    secret,
    element("button", {}, TEXT.signIn),
    result,
  );
}

async function show() {
  const document = await (await fetch("/openapi.json", { credentials: "omit" })).json();
  /** @type {Map<string, Node[]>} */
  const groups = new Map();
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = /** @type {any} */ (item)[method];
      if (!operation || method === "head") continue;
      const tag = operation.tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), operationCard(document, method, path, operation)]);
    }
  }
  const filter = /** @type {HTMLInputElement} */ (
    element("input", { type: "search", class: "grow", placeholder: TEXT.docsFilter, "aria-label": TEXT.docsFilter })
  );
  const sections = [...groups].map(([tag, cards]) => element("section", {}, element("h2", {}, tag), ...cards));
  filter.addEventListener("input", () => {
    const text = filter.value.toLowerCase();
    for (const section of sections) {
      const cards = [...section.querySelectorAll("details")];
      for (const card of cards) card.hidden = !card.firstElementChild?.textContent?.toLowerCase().includes(text);
      section.hidden = cards.every((card) => card.hidden);
    }
  });
  app.replaceChildren(
    element(
      "header",
      { class: "top" },
      element("h1", {}, `${document.info.title} ${document.info.version}`),
      element(
        "nav",
        { "aria-label": "Ferry" },
        element("a", { href: "/console" }, TEXT.docsConsole),
        " ",
        element("a", { href: "/openapi.json" }, "openapi.json"),
      ),
    ),
    element(
      "main",
      {},
      prose("p", document.info.description),
      signInCard(),
      element("div", { class: "toolbar" }, filter),
      ...sections,
    ),
  );
}

app.replaceChildren(
  element(
    "main",
    {},
    button(TEXT.loading, () => {}, { disabled: true }),
  ),
);
void show();
