export { Inflights } from "./inflights.ts";
export { Progress } from "./progress.ts";
