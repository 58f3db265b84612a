import { checksumAead, realAead } from "../../../src/sim/swim/aead.ts";
import { Dice } from "../../../src/sim/time/random.ts";
import { aeadConformance } from "../../conformance/aead.ts";

aeadConformance("the simulator's checksum", checksumAead(new Dice(1)), { exactBytes: false });
aeadConformance("the simulator's AES-GCM", realAead(new Dice(1)), { exactBytes: true });
