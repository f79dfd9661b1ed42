// @ts-check
import { TEXT } from "./strings.js";

const LANGUAGE = navigator.language || "en";
const NUMBER = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 1 });
const TIME = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "short" });

/** @param {number} count @returns {string} */
export function formatCount(count) {
  return NUMBER.format(count);
}

/** @param {number} bytes @returns {string} a size with a binary unit */
export function formatBytes(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let size = bytes;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${NUMBER.format(size)} ${units[unit]}`;
}

/** @param {string | number} time an RFC 3339 time or epoch milliseconds @returns {string} */
export function formatTime(time) {
  return TIME.format(new Date(time));
}

/** @param {number} bytesPerSecond @param {number | null} secondsLeft @returns {string} both, or nothing where no rate is known */
export function formatRate(bytesPerSecond, secondsLeft) {
  if (!bytesPerSecond) return "";
  const left = secondsLeft === null ? "" : ` · ${TEXT.timeLeft(formatDuration(secondsLeft))}`;
  return ` · ${formatBytes(bytesPerSecond)}/s${left}`;
}

/** @param {number} seconds @returns {string} a duration such as 1:05 or 2:03:10 */
function formatDuration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}
