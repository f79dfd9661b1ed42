// @ts-check
/** Move a folder: its files are moved one by one. After an interruption, the move continues with the remaining files. */
import { ApiError } from "./api.js";
import { announce, button, element, showDialog } from "./dom.js";
import { describe } from "./errors.js";
import { listFolder } from "./listing.js";
import { formatCount } from "./format.js";
import * as store from "./upload_store.js";
import { TEXT } from "./strings.js";

const MOVERS = 4;

/** Move the files of a folder, and show the progress until the person closes it. @param {import("./api.js").Session} session @param {string} from @param {string} to */
export async function moveFolder(session, from, to) {
  if (to.startsWith(from) || from === to) throw new Error(TEXT.folderSame);
  const move = { scope: session.scope, from, to };
  await store.saveMove(move);
  const progress = /** @type {HTMLProgressElement} */ (
    element("progress", { "aria-label": TEXT.moveFolder, max: 1, value: 0 })
  );
  const count = element("p", { role: "status" }, TEXT.loading);
  const failures = element("div");
  const controller = new AbortController();
  /** @type {{name: string, reason: string}[]} */
  let failed = [];
  let isDone = false;
  const stop = button(TEXT.stop, () => {}, { class: "primary" });

  const work = async () => {
    const { files } = await listFolder(session, from, { isDeep: true, onPage: () => !controller.signal.aborted });
    progress.max = Math.max(1, files.length);
    let moved = 0;
    let next = 0;
    const show = () => {
      progress.value = moved + failed.length;
      count.textContent = TEXT.progressOf(formatCount(moved), formatCount(files.length));
    };
    show();
    const moveNext = async () => {
      while (next < files.length && !controller.signal.aborted) {
        const file = files[next];
        next += 1;
        const members = { from: file.filename, to: to + file.filename.slice(from.length), etag: file.etag };
        try {
          await session.json("POST", "/files/move", { json: members, signal: controller.signal });
          moved += 1;
        } catch (error) {
          if (controller.signal.aborted) return;
          // Another page moved or deleted it meanwhile.
          if (error instanceof ApiError && error.status === 404) moved += 1;
          else failed.push({ name: file.filename, reason: describe(error) });
        }
        show();
      }
    };
    await Promise.all(Array.from({ length: MOVERS }, moveNext));
    return moved;
  };

  await showDialog(`${from} → ${to}`, (close) => {
    const run = async () => {
      failed = [];
      isDone = false;
      failures.replaceChildren();
      const moved = await work().catch((error) => {
        failed.push({ name: from, reason: describe(error) });
        return 0;
      });
      isDone = true;
      stop.textContent = TEXT.close;
      if (controller.signal.aborted) return;
      if (!failed.length) await store.forgetMove(move);
      count.textContent = TEXT.folderMoved(moved);
      announce(TEXT.folderMoved(moved));
      if (failed.length) failures.replaceChildren(...failureList(failed, () => void run()));
    };
    stop.addEventListener("click", () => {
      if (!isDone) controller.abort();
      close();
    });
    void run();
    return [progress, count, failures, element("div", { class: "buttons" }, stop)];
  });
  controller.abort();
}

/** @param {{name: string, reason: string}[]} failed @param {() => void} retry @returns {Node[]} */
function failureList(failed, retry) {
  return [
    element("p", { class: "error", role: "alert" }, TEXT.folderMoveFailed(failed.length)),
    element(
      "ul",
      { class: "failures", tabindex: "0", "aria-label": TEXT.folderMoveFailed(failed.length) },
      ...failed.map(({ name, reason }) => element("li", {}, element("strong", {}, name), ` ${reason}`)),
    ),
    button(TEXT.retry, retry),
  ];
}

/** @param {import("./api.js").Session} session @param {() => void} onChange @returns {Promise<Node[]>} moves that a crash or a closed page interrupted */
export async function interruptedMoves(session, onChange) {
  const moves = await store.allMoves(session.scope);
  return moves.map((move) => {
    const card = element(
      "div",
      { class: "card row" },
      element("span", {}, TEXT.folderMoveInterrupted(move.from, move.to)),
      element(
        "span",
        {},
        button(
          TEXT.resume,
          () => {
            card.remove();
            void moveFolder(session, move.from, move.to).then(onChange);
          },
          { class: "primary" },
        ),
        " ",
        button(TEXT.discard, () => {
          card.remove();
          void store.forgetMove(move);
        }),
      ),
    );
    return card;
  });
}
