import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface CertificateFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Why certificates cannot be made here; false when they can. */
export const noOpenssl: string | false =
  spawnSync("openssl", ["version"]).status === 0 ? false : "the openssl command is not installed";

/** A certificate authority in a folder of its own, made by the openssl command; good for a day. */
export class Authority {
  readonly #folder: string;
  readonly ca: string;

  constructor(folder: string, name: string) {
    this.#folder = join(folder, name);
    mkdirSync(this.#folder, { recursive: true });
    this.ca = join(this.#folder, "ca.pem");
    const extensions = ["-addext", "basicConstraints=critical,CA:TRUE"];
    openssl(["req", "-x509", ...newKey, ...extensions, "-subj", `/CN=${name}`, "-keyout", this.#path("ca.key"), "-out", this.ca]);
  }

  /** For `DNS:node-<node>` on 127.0.0.1. */
  issue(node: string): CertificateFiles {
    const [cert, key] = [this.#path(`${node}.pem`), this.#path(`${node}.key`)];
    const [request, extensions] = [this.#path(`${node}.csr`), this.#path(`${node}.ext`)];
    writeFileSync(extensions, `subjectAltName=DNS:node-${node},DNS:localhost,IP:127.0.0.1\n`);
    openssl(["req", ...newKey, "-subj", "/O=ringraft", "-keyout", key, "-out", request]);
    const signer = ["-CA", this.ca, "-CAkey", this.#path("ca.key"), "-CAcreateserial"];
    openssl(["x509", "-req", "-in", request, ...signer, "-days", "1", "-extfile", extensions, "-out", cert]);
    chmodSync(key, 0o600);
    return { ca: this.ca, cert, key };
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"] as const;

function openssl(args: readonly string[]): void {
  const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr}`);
}
