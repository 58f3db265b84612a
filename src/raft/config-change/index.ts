export { isJoint, whyInvalid } from "./invariants.ts";
export { leaveJoint, planChange, planPromotion } from "./plan.ts";
