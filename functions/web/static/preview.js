// @ts-check
import { filePath } from "./api.js";
import { button, dialogue, element } from "./dom.js";
import { TEXT } from "./strings.js";

const IMAGES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"]);

/** @param {string} contentType @returns {string | null} how a browser shows it; null: it does not */
export function previewKind(contentType) {
  const type = contentType.split(";")[0].trim().toLowerCase();
  if (IMAGES.has(type)) return "image";
  if (type.startsWith("audio/")) return "audio";
  if (type.startsWith("video/")) return "video";
  return type === "application/pdf" || type === "text/plain" ? "frame" : null;
}

/** Show a file, from S3's own origin. @param {import("./api.js").Session} session @param {any} file */
export async function showPreview(session, file) {
  const link = await session.json(
    "GET",
    filePath("/download", file.filename, { disposition: "inline", redirect: "false" }),
  );
  const kind = previewKind(file.content_type);
  const attributes = { src: link.url };
  const view =
    kind === "image"
      ? element("img", { ...attributes, alt: file.filename })
      : kind === "audio"
        ? element("audio", { ...attributes, controls: true })
        : kind === "video"
          ? element("video", { ...attributes, controls: true })
          : element("iframe", { ...attributes, title: file.filename, sandbox: "", referrerpolicy: "no-referrer" });
  await dialogue(file.filename, (close) => [
    element("div", { class: "preview" }, view),
    element(
      "div",
      { class: "buttons" },
      button(TEXT.close, () => close(), { class: "primary" }),
    ),
  ]);
}
