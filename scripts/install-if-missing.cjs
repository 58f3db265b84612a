// Runs before `npm start`, `npm test` and `npm run bench`, so that a fresh clone needs no other step.
// Plain CommonJS on purpose: it is run by whatever Node the machine has (20 was seen), before Node 24 is installed.
const { spawnSync } = require("node:child_process");
const { existsSync, readFileSync, statSync } = require("node:fs");
const { dirname, join } = require("node:path");

const root = dirname(__dirname);
const lock = join(root, "package-lock.json");
const installed = join(root, "node_modules", ".package-lock.json");

if (!isInstalled()) {
  const result = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: root, stdio: "inherit", env: process.env });
  if (result.status !== 0) {
    console.error("ringraft: npm ci failed; see above. Is the package registry reachable?");
    process.exit(result.status === null ? 1 : result.status);
  }
}

/** npm writes node_modules/.package-lock.json last, so its presence means that an install finished. */
function isInstalled() {
  if (!existsSync(installed) || !existsSync(join(root, "node_modules", ".bin", "node"))) return false;
  return statSync(installed).mtimeMs >= statSync(lock).mtimeMs || sameVersions();
}

/** A checkout may touch the lock file without changing it: compare what it asks for with what is there. */
function sameVersions() {
  const wanted = JSON.parse(readFileSync(lock, "utf8")).packages;
  const present = JSON.parse(readFileSync(installed, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, entry]) => path === "" || entry.optional || (present[path] && present[path].version === entry.version),
  );
}
