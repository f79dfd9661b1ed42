// @ts-check
/** Names of files inside an archive. */

/**
 * Return the name of each file in an archive, in which a name cannot be both a file and a folder: such a file gets the
 * next free name, as an upload under `rename` does.
 * @param {string[]} names each once
 * @returns {string[]}
 */
export function entryNames(names) {
  const folders = new Set(names.flatMap(foldersOf));
  const taken = new Set([...names, ...folders]);
  return names.map((name) => {
    if (!folders.has(name)) return name;
    const free = freeName(name, taken);
    taken.add(free);
    return free;
  });
}

/** @param {string} name @returns {string[]} the folders that it is in, without `/` at their ends */
function foldersOf(name) {
  const folders = [];
  for (let end = name.indexOf("/"); end >= 0; end = name.indexOf("/", end + 1)) folders.push(name.slice(0, end));
  return folders;
}

/** @param {string} name @param {Set<string>} taken @returns {string} `name (2).ext` and so on */
function freeName(name, taken) {
  const dot = name.lastIndexOf(".");
  const end = dot > name.lastIndexOf("/") + 1 ? dot : name.length;
  for (let number = 2; ; number += 1) {
    const free = `${name.slice(0, end)} (${number})${name.slice(end)}`;
    if (!taken.has(free)) return free;
  }
}
