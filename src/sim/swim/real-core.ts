import { accepted, type Outcome, refusal, refused } from "#kernel";
import { checkSwimOptions, createSwim, swimKnobs, type SwimOptions, swimProfiles } from "#membership/core";
import { ScenarioError } from "../scenario/words.ts";
import { checksumAead, realAead } from "./aead.ts";
import type { Launch, LaunchCore } from "./launch.ts";
import type { SwimScript } from "./scenario/script.ts";

/** The core that runs in production; `seal` with its cipher too. Throws for a profile or an option that does not exist. */
export function realCore(seal: boolean): LaunchCore {
  return (launch) => {
    const options = optionsOf(launch);
    if (!options.ok) throw new TypeError(options.refusal.message);
    const core = createSwim(launch.now, {
      id: launch.id,
      label: launch.label,
      epoch: launch.epoch,
      addresses: launch.addresses,
      metadata: launch.metadata,
      options: options.value,
      seeds: launch.seeds,
      members: launch.members,
      keys: launch.keys,
      aead: seal ? realAead(launch.nonceDice) : checksumAead(launch.nonceDice),
      random: launch.random,
      numbers: launch.numbers,
      allow: { ids: [], networks: [] },
    });
    if (!core.ok) throw new TypeError(core.refusal.message);
    return core.value;
  };
}

/** The profile with the script's settings, which go by the configuration's names (`push_pull_interval`). */
export function optionsOf({ profile, settings }: Pick<Launch, "profile" | "settings">): Outcome<SwimOptions> {
  if (!isProfile(profile)) return invalid(`there is no profile "${profile}": ${Object.keys(swimProfiles).join(", ")}`);
  const changed: Record<string, number | boolean> = {};
  for (const [key, value] of Object.entries(settings)) {
    const field = (Object.keys(swimKnobs) as readonly (keyof SwimOptions)[]).find((each) => swimKnobs[each].key === key);
    if (field === undefined) return invalid(`there is no option "${key}"`);
    if (typeof value !== typeof swimProfiles[profile][field]) return invalid(`option ${key} cannot be ${value}`);
    changed[field] = value;
  }
  const options: SwimOptions = { ...swimProfiles[profile], ...changed };
  const [broken] = checkSwimOptions(options);
  return broken === undefined ? accepted(options) : invalid(`${broken.message}: ${broken.hint}`);
}

/** What holds for all members of the script. Throws for options that do not fit together. */
export function scriptOptions({ profile, settings }: SwimScript): SwimOptions {
  const options = optionsOf({ profile, settings: Object.fromEntries(settings.map(({ option, value }) => [option, value])) });
  if (!options.ok) throw new ScenarioError(settings[0]?.line ?? 1, 1, options.refusal.message);
  return options.value;
}

function isProfile(name: string): name is keyof typeof swimProfiles {
  return Object.hasOwn(swimProfiles, name);
}

function invalid(message: string): Outcome<never> {
  return refused(refusal("INVALID_ARGUMENT", message));
}
