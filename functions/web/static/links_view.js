// @ts-check
import { button, confirmed, element, showDialog, toast } from "./dom.js";
import { formatBytes, formatCount, formatTime } from "./format.js";
import { describe } from "./errors.js";
import { share } from "./share_dialog.js";
import { TEXT } from "./strings.js";

const PAGE = 100;
const STATES = {
  active: TEXT.stateActive,
  expired: TEXT.stateExpired,
  revoked: TEXT.stateRevoked,
  used_up: TEXT.stateUsedUp,
};
const ACTIONS = {
  download: TEXT.actionDownload,
  upload: TEXT.actionUpload,
  wrong_password: TEXT.actionWrongPassword,
  locked: TEXT.actionLocked,
};

/** The links of the namespace: use, activity, revoke. */
export class LinksView {
  /** @param {import("./api.js").Session} session */
  constructor(session) {
    this.session = session;
    this.body = element("tbody");
    this.content = element("div");
    this.root = element(
      "section",
      { "aria-label": TEXT.links, tabindex: "-1" },
      element(
        "div",
        { class: "toolbar" },
        button(TEXT.newUploadLink, () => void this.#create(), { class: "primary", "data-key": "new-link" }),
      ),
      this.content,
    );
  }

  async #create() {
    if (await share(this.session, {})) await this.load();
  }

  async load() {
    this.body.replaceChildren();
    const heading = (/** @type {string} */ text, style = "") => element("th", { scope: "col", class: style }, text);
    const table = element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          heading(TEXT.what),
          heading(TEXT.kind, "wide"),
          heading(TEXT.usage, "wide"),
          heading(TEXT.expires, "wide"),
          heading(TEXT.state),
          element("th", { scope: "col" }, element("span", { class: "visually-hidden" }, TEXT.actions)),
        ),
      ),
      this.body,
    );
    await pages(this.content, table, element("p", { class: "muted empty" }, TEXT.noLinks), async (cursor) => {
      const page = await this.session.json(
        "GET",
        `/links?${new URLSearchParams({ limit: String(PAGE), ...(cursor ? { cursor } : {}) })}`,
      );
      this.body.append(...page.links.map((/** @type {any} */ link) => this.#row(link)));
      return page.cursor;
    });
  }

  /** @param {any} link */
  #row(link) {
    const name = link.label || link.filename || link.prefix;
    const isUpload = link.kind === "upload";
    const used = isUpload
      ? TEXT.usedUploads(
          formatCount(link.used.files),
          formatCount(link.max_files),
          formatBytes(link.used.bytes),
          formatBytes(link.max_bytes),
        )
      : TEXT.usedDownloads(
          formatCount(link.used.downloads),
          link.max_downloads === null ? null : formatCount(link.max_downloads),
        );
    const subject = link.label ? element("span", { class: "muted" }, link.filename ?? link.prefix) : null;
    const state = /** @type {Record<string, string>} */ (STATES)[link.state] ?? link.state;
    return element(
      "tr",
      {},
      element(
        "td",
        { class: "text" },
        element("div", {}, name),
        subject,
        element(
          "div",
          { class: "narrow muted" },
          `${isUpload ? TEXT.kindShortUpload : TEXT.kindShortDownload} · ${used} · ${formatTime(link.expires_at)}`,
        ),
      ),
      element(
        "td",
        { class: "wide nowrap" },
        isUpload ? TEXT.kindShortUpload : TEXT.kindShortDownload,
        link.password ? element("div", { class: "muted" }, TEXT.password.toLowerCase()) : null,
      ),
      element("td", { class: "wide" }, used),
      element("td", { class: "wide nowrap time" }, formatTime(link.expires_at)),
      element("td", { class: `nowrap ${link.state === "active" ? "ok" : "muted"}` }, state),
      element(
        "td",
        { class: "actions stacked" },
        button(TEXT.activity, () => void this.#showActivity(link, name), {
          "aria-label": `${TEXT.activity}: ${name}`,
          "data-key": `activity:${link.link_id}`,
        }),
        link.state === "active" || link.state === "used_up"
          ? button(TEXT.revoke, () => void this.#revoke(link, name), {
              class: "danger",
              "aria-label": `${TEXT.revoke}: ${name}`,
              "data-key": `revoke:${link.link_id}`,
            })
          : null,
      ),
    );
  }

  /** @param {any} link @param {string} name */
  async #revoke(link, name) {
    if (!(await confirmed(`${TEXT.revoke}: ${name}`, TEXT.revokeText, TEXT.revoke))) return;
    try {
      await this.session.request("DELETE", `/links/${encodeURIComponent(link.link_id)}`);
      await this.load();
      /** @type {HTMLElement | null} */ (
        this.root.querySelector(`[data-key="activity:${CSS.escape(link.link_id)}"]`)
      )?.focus();
      toast(TEXT.revoked);
    } catch (error) {
      toast(describe(error));
    }
  }

  /** @param {any} link @param {string} name */
  async #showActivity(link, name) {
    const content = element("div");
    const note = element("p", { class: "muted" });
    const body = element("tbody");
    const table = element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...[TEXT.at, TEXT.what, TEXT.name].map((text) => element("th", { scope: "col" }, text)),
          element("th", { scope: "col", class: "wide" }, TEXT.network),
        ),
      ),
      body,
    );
    void pages(content, table, element("p", { class: "muted" }, TEXT.noActivity), async (cursor) => {
      const page = await this.session.json(
        "GET",
        `/links/${encodeURIComponent(link.link_id)}/activity?${new URLSearchParams({ limit: String(PAGE), ...(cursor ? { cursor } : {}) })}`,
      );
      if (page.approximate) note.textContent = TEXT.activityApproximate;
      body.append(
        ...page.activity.map((/** @type {any} */ entry) =>
          element(
            "tr",
            {},
            element("td", { class: "nowrap time" }, formatTime(entry.at)),
            element("td", {}, /** @type {Record<string, string>} */ (ACTIONS)[entry.action] ?? entry.action),
            element(
              "td",
              { class: "text" },
              entry.filename ?? "",
              entry.size === undefined ? null : element("span", { class: "muted" }, ` ${formatBytes(entry.size)}`),
              element("div", { class: "narrow muted" }, entry.network),
            ),
            element("td", { class: "wide" }, entry.network),
          ),
        ),
      );
      return page.cursor;
    });
    await showDialog(`${TEXT.activity}: ${name}`, (close) => [
      note,
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": TEXT.activity }, content),
      element(
        "div",
        { class: "buttons" },
        button(TEXT.close, () => close(), { class: "primary" }),
      ),
    ]);
  }
}

/**
 * Fill a table page by page.
 * @param {HTMLElement} place @param {HTMLElement} table @param {HTMLElement} empty shown in place of a table without rows
 * @param {(cursor: string) => Promise<string | undefined>} fetchPage adds a page, and returns the cursor of the next one
 */
export async function pages(place, table, empty, fetchPage) {
  let cursor = "";
  const more = button(TEXT.more, () => void next(), {});
  const next = async () => {
    more.disabled = true;
    try {
      cursor = (await fetchPage(cursor)) ?? "";
      place.replaceChildren(table.querySelector("tbody tr") ? table : empty, ...(cursor ? [more] : []));
    } catch (error) {
      place.replaceChildren(element("p", { class: "error", role: "alert" }, describe(error)));
    }
    more.disabled = false;
  };
  await next();
}
