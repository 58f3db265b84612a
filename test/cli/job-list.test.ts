import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job } from "#statemachine";
import { newestJobs } from "../../src/cli/commands/job.ts";

test("`ringraft job list` shows the newest jobs, newest last, however many pages lie before them", async () => {
  const all = Array.from({ length: 7 }, (_, at) => ({ jobId: `j-${at + 1}` }) as Job);
  const jobs = {
    list: ({ pageToken = "" }: { readonly pageToken?: string } = {}) => {
      const from = all.findIndex((job) => job.jobId === pageToken) + 1;
      const page = all.slice(from, from + 3);
      return Promise.resolve({ jobs: page, nextPageToken: from + 3 < all.length ? page.at(-1)!.jobId : "" });
    },
  };
  const ids = async (count: number): Promise<readonly string[]> => (await newestJobs({ jobs }, count)).map((job) => job.jobId);
  assert.deepEqual(await ids(2), ["j-6", "j-7"]);
  assert.deepEqual(await ids(5), ["j-3", "j-4", "j-5", "j-6", "j-7"]);
  assert.equal((await ids(100)).length, 7);
});
