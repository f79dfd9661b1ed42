// @ts-check
const PAGE = 1000;

/**
 * List the files and folders of a folder, page by page.
 * @param {import("./api.js").Session} session
 * @param {string} prefix
 * @param {{isDeep?: boolean, maximum?: number, onPage?: (count: number) => boolean}} [options] `isDeep`: all files below it, no folders; `onPage` returns false to stop
 * @returns {Promise<{files: any[], folders: string[], isCut: boolean}>}
 */
export async function listFolder(session, prefix, { isDeep = false, maximum = Infinity, onPage } = {}) {
  /** @type {any[]} */
  const files = [];
  /** @type {string[]} */
  const folders = [];
  let cursor = "";
  do {
    const query = new URLSearchParams({
      limit: String(PAGE),
      ...(prefix ? { prefix } : {}),
      ...(isDeep ? {} : { delimiter: "/" }),
      ...(cursor ? { cursor } : {}),
    });
    const page = await session.json("GET", `/files?${query}`);
    files.push(...page.files);
    folders.push(...page.prefixes);
    cursor = page.cursor ?? "";
    if (onPage && !onPage(files.length + folders.length)) break;
  } while (cursor && files.length + folders.length < maximum);
  return { files, folders, isCut: Boolean(cursor) };
}
