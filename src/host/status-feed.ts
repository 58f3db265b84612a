import type { Timer, Timers } from "#ports";
import { electionBody, statusBody } from "#api";
import { healthOf, type NodeMetrics, type NodeView } from "#observe";
import { processViewer } from "./process-view.ts";
import type { Pulse } from "./pulse/index.ts";

const PERIOD_MS = 250;

/** Looks at the node four times a second and pushes what `/status`, `/health` and `/metrics` shall say to the pulse thread. */
export function feedPulse(pulse: Pulse, metrics: NodeMetrics, look: () => Promise<NodeView>, timers: Timers): Timer {
  const lookAtProcess = processViewer();
  let looking = false;
  const push = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    try {
      const own = await look();
      const view = { ...own, alivePeers: pulse.presentMembers() ?? own.alivePeers };
      metrics.update(view, lookAtProcess());
      pulse.push({
        status: statusBody(view),
        election: electionBody(view),
        metrics: metrics.render(),
        ...healthOf(view),
      });
    } finally {
      looking = false;
    }
  };
  void push();
  return timers.every(PERIOD_MS, () => void push());
}
