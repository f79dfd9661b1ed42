// Bundles the package into dist/. With `--examples FOLDER [5]` it bundles the example pages for Uppy 6 (or 5) there.
import { cpSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = fileURLToPath(new URL(".", import.meta.url));
const [, , option, target, version] = process.argv;

/** A package cannot bring a worker through every bundler, so the console's checksums are replaced by those without one. */
const withoutWorker = {
  name: "without-worker",
  setup: (plugins) => {
    plugins.onResolve({ filter: /\/checksums\.js$/ }, ({ importer }) =>
      importer.includes("/static/") ? { path: `${folder}src/checksums.js` } : null,
    );
  },
};

const common = { absWorkingDir: folder, bundle: true, format: "esm", target: "es2022", plugins: [withoutWorker] };
if (option === "--examples") {
  const alias = version === "5" ? { "@uppy/core": "uppy-core-5", "@uppy/tus": "uppy-tus-5" } : {};
  await build({ ...common, alias, entryPoints: ["examples/ferry.js", "examples/tus.js"], outdir: target });
  for (const page of ["ferry.html", "tus.html"]) cpSync(`${folder}examples/${page}`, `${target}/${page}`);
} else {
  await build({ ...common, external: ["@uppy/core"], entryPoints: ["src/ferry.js", "src/tus.js"], outdir: "dist" });
}
