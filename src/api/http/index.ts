export { statusBody } from "./status.ts";
