// @ts-check
import { announce, button, element, legible } from "./dom.js";
import { formatBytes, formatRate } from "./format.js";
import { TEXT } from "./strings.js";

/** An upload as it is shown. Its controls stay where they are, so that a click and the focus are not lost. */
export class TransferCard {
  /** @param {import("./transfers.js").Transfer} transfer @param {import("./transfers.js").TransferList} list @param {string} name as it is shown */
  constructor(transfer, list, name) {
    this.name = name;
    this.base = transfer.name.length - name.length;
    this.shownState = "";
    this.transfer = transfer;
    const make = (/** @type {string} */ text, /** @type {() => void} */ work, style = "") =>
      button(text, work, { class: style, "aria-label": `${text}: ${name}` });
    const again = (/** @type {"replace" | "rename"} */ choice) => () => {
      transfer.ifExists = choice;
      list.restart(transfer);
    };
    /** @type {[HTMLButtonElement, () => boolean][]} */
    this.buttons = [
      [make(TEXT.pause, () => transfer.pause()), () => transfer.state === "sending" || transfer.state === "waiting"],
      [make(TEXT.resume, () => list.restart(transfer), "primary"), () => transfer.state === "paused"],
      [
        make(TEXT.retry, () => list.restart(transfer), "primary"),
        () => transfer.state === "failed" && !transfer.isLost,
      ],
      [
        make(
          TEXT.startOver,
          () => {
            transfer.mustRestart = true;
            list.restart(transfer);
          },
          "danger",
        ),
        () => transfer.state === "failed" && transfer.isOccupied,
      ],
      [make(TEXT.keepBoth, again("rename")), () => transfer.state === "conflict"],
      [make(TEXT.replace, again("replace")), () => transfer.state === "conflict"],
      [
        make(TEXT.cancel, () => void list.cancel(transfer), "danger"),
        () => !["complete", "cancelled", "completing"].includes(transfer.state) && !transfer.isLost,
      ],
      [
        make(TEXT.remove, () => list.remove(transfer)),
        () => ["complete", "cancelled"].includes(transfer.state) || transfer.isLost,
      ],
    ];
    this.progress = /** @type {HTMLProgressElement} */ (
      element("progress", { max: transfer.file.size || 1, value: 0, "aria-label": name })
    );
    this.status = element("div", {});
    this.root = element(
      "li",
      { class: "card" },
      element(
        "div",
        { class: "row" },
        element("strong", {}, name),
        element("span", { class: "row-actions" }, ...this.buttons.map(([each]) => each)),
      ),
      this.progress,
      this.status,
    );
  }

  update() {
    const { transfer } = this;
    const hasFailed = transfer.state === "failed" || transfer.state === "conflict";
    if (hasFailed && this.shownState !== transfer.state) announce(`${this.name}: ${transfer.error}`);
    this.shownState = transfer.state;
    const focused = this.buttons.find(([each]) => each === document.activeElement)?.[0];
    for (const [each, isVisible] of this.buttons) each.hidden = !isVisible();
    if (focused?.hidden) this.buttons.find(([each]) => !each.hidden)?.[0].focus();
    this.progress.value = transfer.file.size ? transfer.doneBytes : Number(transfer.state === "complete");
    const label = /** @type {string} */ (TEXT[/** @type {keyof typeof TEXT} */ (transfer.state)] ?? transfer.state);
    const rate = formatRate(transfer.rate, transfer.secondsLeft);
    const renamed =
      transfer.state === "complete" && transfer.finalName && transfer.finalName !== transfer.name
        ? ` · ${TEXT.savedAs(legible(transfer.finalName.slice(this.base)))}`
        : "";
    this.status.className = transfer.error ? "error" : "muted";
    this.status.textContent = `${label} · ${formatBytes(transfer.doneBytes)} / ${formatBytes(transfer.file.size)}${rate}${renamed}${transfer.error && transfer.error !== label ? ` · ${transfer.error}` : ""}`;
  }
}
