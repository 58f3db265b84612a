// `npm run build`: JavaScript and types into dist/, laid out like the source. tsc leaves `#room` imports as they are, so dist/
// gets a package.json with its own map; generated code is copied as it is.
import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
execFileSync("tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
cpSync("src/gen", "dist/src/gen", { recursive: true });

const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const imports = Object.fromEntries(Object.entries(manifest.imports).map(([room, path]) => [room, path.replace(/\.ts$/, ".js")]));
writeFileSync(
  "dist/package.json",
  `${JSON.stringify({ name: manifest.name, version: manifest.version, type: "module", imports }, null, 2)}\n`,
);
