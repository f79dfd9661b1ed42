// @ts-check
import { ApiError } from "./api.js";
import { TEXT } from "./strings.js";

/** @param {unknown} error @returns {string} what is wrong, and what to do on this page */
export function describe(error) {
  if (error instanceof ApiError) {
    const text = /** @type {Record<string, string>} */ (TEXT.errors)[error.code];
    if (text) return text;
    if (error.code === "internal") return TEXT.internalError(String(error.members.request_id ?? ""));
    return error.message;
  }
  if (error instanceof TypeError) return TEXT.networkDown;
  return error instanceof Error ? error.message : String(error);
}
