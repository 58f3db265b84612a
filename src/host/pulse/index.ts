export { startPulse, PulseError, type Pulse, type PulseOptions } from "./start.ts";
