// @ts-check
import { filePath } from "./api.js";
import { button, element, showDialog } from "./dom.js";
import { TEXT } from "./strings.js";

const IMAGES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"]);
const MAX_TEXT_BYTES = 4 * 1024 * 1024;

/** @typedef {"image" | "audio" | "video" | "pdf" | "text"} PreviewKind */

/** @param {any} file @returns {PreviewKind | null} how a browser shows it; null: it does not */
export function previewKind(file) {
  const type = file.content_type.split(";")[0].trim().toLowerCase();
  if (IMAGES.has(type)) return "image";
  if (type.startsWith("audio/")) return "audio";
  if (type.startsWith("video/")) return "video";
  if (type === "application/pdf") return "pdf";
  return type === "text/plain" && file.size <= MAX_TEXT_BYTES ? "text" : null;
}

/** @param {PreviewKind} kind @param {string} src @param {string} name @returns {HTMLElement} */
function view(kind, src, name) {
  if (kind === "image") return element("img", { src, alt: name });
  if (kind === "audio" || kind === "video") return element(kind, { src, controls: true, "aria-label": name });
  // A browser shows no PDF in a sandbox. The frame is on S3's origin, with the type that the service has signed.
  const sandbox = kind === "text" ? "" : null;
  return element("iframe", { src, title: name, sandbox, referrerpolicy: "no-referrer" });
}

/** Show a file, from S3's own origin. @param {import("./api.js").Session} session @param {any} file */
export async function showPreview(session, file) {
  const query = { disposition: "inline", redirect: "false" };
  const link = await session.json("GET", filePath("/download", file.filename, query));
  const shown = view(/** @type {PreviewKind} */ (previewKind(file)), link.url, file.filename);
  const problem = element("p", { class: "error", role: "alert" });
  shown.addEventListener("error", () => {
    shown.hidden = true;
    problem.textContent = TEXT.previewFailed;
  });
  await showDialog(file.filename, (close) => [
    element("div", { class: "preview" }, shown, problem),
    element(
      "div",
      { class: "buttons" },
      // A frame that had the focus would take Escape for itself.
      button(TEXT.close, () => close(), { class: "primary", autofocus: true }),
    ),
  ]);
}
