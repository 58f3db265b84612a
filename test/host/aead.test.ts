import { nodeAead } from "../../src/host/aead.ts";
import { aeadConformance } from "../conformance/aead.ts";

aeadConformance("node:crypto", nodeAead, { exactBytes: true });
