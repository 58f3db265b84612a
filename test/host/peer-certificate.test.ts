import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeId } from "#kernel";
import { whyForeignCertificate } from "../../src/host/peer-grpc/handshake.ts";

const certificate = (CN: string, subjectaltname?: string): Parameters<typeof whyForeignCertificate>[0] => ({
  subject: { C: "", ST: "", L: "", O: "", OU: "", CN },
  ...(subjectaltname === undefined ? {} : { subjectaltname }),
});

test("a peer's certificate names its node, as node-<id> or as the common name", () => {
  const node = NodeId("gpu-1");
  assert.equal(whyForeignCertificate(certificate("x", "DNS:localhost, DNS:node-gpu-1, IP Address:127.0.0.1"), node), null);
  assert.equal(whyForeignCertificate(certificate("gpu-1"), node), null);
  assert.equal(whyForeignCertificate(certificate("node-gpu-1"), node), null);
});

test("a certificate of the same authority for another node is refused, with the names it bears", () => {
  const why = whyForeignCertificate(certificate("gpu-2", "DNS:node-gpu-2, DNS:node-gpu-11"), NodeId("gpu-1"));
  assert.equal(why, "the certificate names node-gpu-2, node-gpu-11, gpu-2, not node-gpu-1");
});
