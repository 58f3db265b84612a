export { catalogue, type MetricDefinition, type MetricName } from "./catalogue.ts";
export { clusterHealth, healthOf, type ClusterHealth, type Health } from "./health.ts";
export { type DetectorFigures, membershipMetrics, type MembershipFigures, type SwimFigures } from "./membership-metrics.ts";
export { nodeMetrics, type NodeMetrics, type ProcessView } from "./node-metrics.ts";
export {
  votesOf,
  type CommittedNodeView,
  type HolderView,
  type ModelView,
  type NodeView,
  type RaftView,
  type StateView,
  type VoterView,
  type Votes,
} from "./node-view.ts";
export { type Counter, type Gauge, type Histogram } from "./registry.ts";
