export { initialiseCluster } from "./cluster-init.ts";
export type { ConfigurationRequest } from "./configuration.ts";
export { lockDataDirectory } from "./data-directory.ts";
export { nodeDisk } from "./disk.ts";
export { initialiseNode } from "./node-init.ts";
export { serve } from "./serve.ts";
export { StartError } from "./start-error.ts";
