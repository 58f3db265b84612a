import { writeFileSync } from "node:fs";
import { namespaceName, run } from "./namespaces.ts";

/** A machine of the lab: a namespace of its own. */
export interface Machine {
  readonly namespace: string;
  /** Where it believes it can be reached. */
  readonly address: string;
  /** Where the test reaches it, whatever is cut. */
  readonly watchedAt: string;
}

/**
 * Sites, each a network 10.88.N.0/24 with a bridge of its own, and a router between them: the namespace in which the test
 * itself runs. What is cut vanishes there without a word, as it does in the middle of the internet.
 */
export class Lab {
  readonly #guard: number;
  readonly #sites = new Set<number>();
  readonly #rules = new Map<string, readonly string[]>();
  readonly #delay: boolean;
  #machines = 0;

  /** To be called in the namespace that becomes the router. */
  constructor(guard: number) {
    this.#guard = guard;
    writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
    // Addresses that only mean something behind a NAT lead nowhere.
    run("ip", ["-batch", "-"], "link set lo up\nroute replace blackhole 192.168.0.0/16\n");
    this.#delay = kernelDelays();
  }

  get delays(): boolean {
    return this.#delay;
  }

  machine(name: string, site: number): Machine {
    this.#openSite(site);
    const number = ++this.#machines;
    const [namespace, address] = [namespaceName(this.#guard, name), `10.88.${site}.${FIRST_HOST + number}`];
    this.#plug(namespace, `v${number}`, site, address);
    return { namespace, address, watchedAt: address };
  }

  /**
   * A machine behind a NAT: every destination gets a mapping of its own on a port that nobody can guess, which is forgotten
   * `mappingSeconds` after the last packet; nothing comes in that was not asked for.
   */
  machineBehindNat(name: string, site: number, mappingSeconds: number): Machine {
    const router = this.machine(`${name}-nat`, site).namespace;
    const number = ++this.#machines;
    const namespace = namespaceName(this.#guard, name);
    const [inside, gateway, watchedAt] = ["192.168.50.2", "192.168.50.1", `10.89.${number}.2`];
    run("ip", ["netns", "add", namespace]);
    run(
      "ip",
      ["-batch", "-"],
      `link add w${number} type veth peer name watch netns ${namespace}
      addr add 10.89.${number}.1/24 dev w${number}
      link set w${number} up\n`,
    );
    run(
      "ip",
      ["-n", router, "-batch", "-"],
      `link add inside type veth peer name eth0 netns ${namespace}
      addr add ${gateway}/24 dev inside
      link set inside up\n`,
    );
    run(
      "ip",
      ["-n", namespace, "-batch", "-"],
      `link set lo up
      addr add ${inside}/24 dev eth0
      link set eth0 up
      addr add ${watchedAt}/24 dev watch
      link set watch up
      route add default via ${gateway}\n`,
    );
    const settings = `echo 1 > /proc/sys/net/ipv4/ip_forward
      cd /proc/sys/net/netfilter
      echo ${mappingSeconds} > nf_conntrack_udp_timeout
      echo ${mappingSeconds} > nf_conntrack_udp_timeout_stream`;
    run("ip", ["netns", "exec", router, "sh", "-ec", settings]);
    run("ip", ["netns", "exec", router, "nft", "-f", "-"], NAT);
    return { namespace, address: inside, watchedAt };
  }

  /** Datagrams to and from the site vanish. */
  dropUdp(site: number): void {
    this.#openSite(site);
    this.#setRules(
      `udp ${site}`,
      ["iifname", "oifname"].map((side) => `${side} "site${site}" meta l4proto udp drop`),
    );
  }

  /** Nothing passes between the two sites until `heal`. */
  cut(site: number, other: number): void {
    const ways = [
      [site, other],
      [other, site],
    ] as const;
    this.#setRules(
      `cut ${site} ${other}`,
      ways.map(([from, to]) => `iifname "site${from}" oifname "site${to}" drop`),
    );
  }

  heal(site: number, other: number): void {
    this.#setRules(`cut ${site} ${other}`, []);
  }

  #openSite(site: number): void {
    if (this.#sites.has(site)) return;
    this.#sites.add(site);
    run(
      "ip",
      ["-batch", "-"],
      `link add site${site} type bridge
      addr add 10.88.${site}.1/24 dev site${site}
      link set site${site} up\n`,
    );
  }

  #plug(namespace: string, link: string, site: number, address: string): void {
    run("ip", ["netns", "add", namespace]);
    run(
      "ip",
      ["-batch", "-"],
      `link add ${link} type veth peer name eth0 netns ${namespace}
      link set ${link} master site${site}
      link set ${link} up\n`,
    );
    run(
      "ip",
      ["-n", namespace, "-batch", "-"],
      `link set lo up
      addr add ${address}/24 dev eth0
      link set eth0 up
      route add default via 10.88.${site}.1\n`,
    );
    if (this.#delay) run("tc", ["-n", namespace, ...DELAY]);
  }

  #setRules(name: string, rules: readonly string[]): void {
    this.#rules.set(name, rules);
    const chain = ["type filter hook forward priority filter;", ...[...this.#rules.values()].flat()].join("\n");
    run("nft", ["-f", "-"], `table inet lab\nflush table inet lab\ntable inet lab { chain forward {\n${chain}\n}\n}\n`);
  }
}

const FIRST_HOST = 10;

/** One way; what comes back has its own. */
const DELAY = ["qdisc", "add", "dev", "eth0", "root", "netem", "delay", "20ms", "5ms"];

const NAT = `table ip nat {
  chain postrouting { type nat hook postrouting priority srcnat; oifname "eth0" masquerade fully-random; }
  chain forward { type filter hook forward priority filter; policy drop; iifname "inside" accept; ct state established,related accept; }
  chain input { type filter hook input priority filter; policy drop; ct state established,related accept; }
}
`;

function kernelDelays(): boolean {
  try {
    run("tc", ["qdisc", "add", "dev", "lo", "root", "netem", "delay", "0ms"]);
    run("tc", ["qdisc", "del", "dev", "lo", "root"]);
    return true;
  } catch {
    return false;
  }
}
