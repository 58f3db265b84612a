import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import {
  ClientError,
  type Client,
  type FencingToken,
  type Model,
  type ModelVersion,
  type NodeId,
  type WorkId,
} from "../../examples/hex-selfplay/client.ts";
import { sha256Of } from "../../examples/hex-selfplay/model/model-file.ts";
import type { Child } from "../../examples/hex-selfplay/pipeline/child.ts";
import { runEvaluation } from "../../examples/hex-selfplay/pipeline/evaluation-job.ts";
import { runSelfplay } from "../../examples/hex-selfplay/pipeline/selfplay-job.ts";
import { runTraining } from "../../examples/hex-selfplay/pipeline/training-job.ts";
import { readGames } from "../../examples/hex-selfplay/store/games.ts";

/** The model registry as far as the jobs use it; `dieBefore` names the write at which the attempt is killed. */
class FakeCluster {
  readonly versions: ModelVersion[] = [];
  readonly history: { alias: string; version: number; revision: number; reason: string }[] = [];
  readonly writes: string[] = [];
  lockHeld = false;
  dieBefore: string | null = null;
  dieAfter: string | null = null;

  client(): Client {
    const models = {
      versions: () => this.#present(this.versions.slice()),
      version: (_: string, { number }: { number: number }) => this.#present(this.versions[number - 1]!),
      get: () => this.#present(this.#model()),
    };
    const client = { models, openSession: async () => this.#session() };
    // The jobs use no more than this of the client: a call of anything else fails the test.
    return client as unknown as Client;
  }

  #model(): Model {
    const canonical = this.history.at(-1);
    const model = {
      lastVersion: this.versions.length,
      aliases: canonical === undefined ? {} : { canonical },
      history: this.history,
    };
    return model as unknown as Model;
  }

  #present<T>(value: T): Promise<T> {
    if (this.versions.length > 0) return Promise.resolve(value);
    return Promise.reject(
      new ClientError({ reason: "NOT_FOUND", message: "no such model", field: null } as ClientError["refusal"], "failed"),
    );
  }

  #session(): unknown {
    const write = <T>(name: string, apply: () => T): Promise<T> => {
      if (this.dieBefore === name) return Promise.reject(new Error(`killed before ${name}`));
      this.writes.push(name);
      const result = apply();
      return this.dieAfter === name ? Promise.reject(new Error(`killed after ${name}`)) : Promise.resolve(result);
    };
    const guarded = (request: { guards: readonly unknown[] }): void => assert.deepEqual(request.guards, ["the lock's guard"]);
    return {
      models: {
        registerVersion: (request: ModelVersion & { guards: readonly unknown[] }) =>
          write("registerVersion", () => {
            guarded(request);
            const { sourceUri, workId, parentVersion } = request;
            const version = { number: this.versions.length + 1, state: "UPLOADING", sourceUri, workId, parentVersion };
            this.versions.push(version as unknown as ModelVersion);
            return version;
          }),
        commitVersion: (request: ModelVersion & { guards: readonly unknown[] }) =>
          write("commitVersion", () => {
            guarded(request);
            const { number, sha256, sizeBytes } = request;
            this.versions[number - 1] = { ...this.versions[number - 1]!, state: "READY", sha256, sizeBytes };
          }),
        setAlias: (request: { alias: string; version: number; reason: string; expectedAliasRevision: number }) =>
          write("setAlias", () => {
            assert.equal(request.expectedAliasRevision, this.history.at(-1)?.revision ?? 0);
            this.history.push({ ...request, revision: 100 + this.history.length });
          }),
      },
      locks: {
        acquire: async (name: string) => {
          assert.equal(name, "training/hex8_2p");
          assert.equal(this.lockHeld, false);
          this.lockHeld = true;
          return { guard: "the lock's guard", release: async () => void (this.lockHeld = false) };
        },
      },
      // A session's end frees its lock and aborts what it was uploading.
      close: async () => {
        this.lockHeld = false;
        for (const [i, version] of this.versions.entries())
          if (version.state === "UPLOADING") this.versions[i] = { ...version, state: "ABORTED" };
      },
    };
  }
}

describe("a training job", () => {
  let data: string;
  let cluster: FakeCluster;

  beforeEach(async () => {
    data = mkdtempSync(join(tmpdir(), "hex-job-"));
    cluster = new FakeCluster();
    await runSelfplay(child("w-1-0", { generation: 0, seed: 1, games: 300, modelVersion: 0 }));
  });
  afterEach(() => rmSync(data, { recursive: true }));

  it("makes one READY version whose file has the committed sha256, and releases the lock", async () => {
    const result = await train("w-2-0");
    const [version] = cluster.versions;
    const bytes = readFileSync(fileURLToPath(version!.sourceUri));
    assert.deepEqual(result, { version: 1, sha256: sha256Of(bytes) });
    assert.deepEqual([version!.state, version!.sha256, version!.sizeBytes], ["READY", sha256Of(bytes), bytes.length]);
    assert.match(version!.sourceUri, new RegExp(`/models/hex8_2p/v1-${result.sha256.slice(0, 8)}\\.json$`));
    assert.equal(cluster.lockHeld, false);
  });

  it("that is attempted again after its commit returns the version that it made and makes no second", async () => {
    cluster.dieAfter = "commitVersion";
    await assert.rejects(train("w-2-0"), /killed after commitVersion/);
    cluster.dieAfter = null;
    const result = await train("w-2-0");
    assert.deepEqual(result, { version: 1, sha256: cluster.versions[0]!.sha256 });
    assert.deepEqual(cluster.writes, ["registerVersion", "commitVersion"]);
  });

  it("that died between registering and committing registers anew: one of the two versions is READY", async () => {
    cluster.dieBefore = "commitVersion";
    await assert.rejects(train("w-2-0"), /killed before commitVersion/);
    cluster.dieBefore = null;
    assert.equal((await train("w-2-0")).version, 2);
    assert.deepEqual(
      cluster.versions.map((version) => version.state),
      ["ABORTED", "READY"],
    );
  });

  it("leaves versions of other work items alone", async () => {
    await train("w-2-0");
    assert.equal((await train("w-3-0")).version, 2);
  });

  it("is not retried when there are no games to learn from", async () => {
    rmSync(join(data, "games"), { recursive: true });
    await assert.rejects(train("w-2-0"), { message: /no self-play games of version 0/ });
    assert.equal(existsSync(join(data, "models")), false);
  });

  it("is followed by an evaluation that promotes the first version over random play, and only once when repeated", async () => {
    await train("w-2-0");
    const evaluate = () => runEvaluation(child("w-3-0", { generation: 0, seed: 2, candidate: 1 }));
    const first = await evaluate();
    assert.ok(first.promoted && first.opponent === 0 && first.score >= 0.8 && first.games === 300);
    assert.match(
      cluster.history[0]!.reason,
      /^score 0\.\d+ \[.*\] over 300 games against uniform-random; elo 0 ± 0$|^score 1\.000/,
    );
    assert.equal(readGames(join(data, "games", "eval_w-3-0.db")).length, 300);
    assert.deepEqual(await evaluate(), first);
    assert.equal(cluster.history.length, 1);
  });

  it("is followed by an evaluation that does not move the alias to a version that is no better", async () => {
    await train("w-2-0");
    await runEvaluation(child("w-3-0", { generation: 0, seed: 2, candidate: 1 }));
    cluster.versions.push({ ...cluster.versions[0]!, number: 2 });
    const second = await runEvaluation(child("w-4-0", { generation: 1, seed: 3, candidate: 2 }));
    assert.deepEqual([second.promoted, second.opponent, second.score], [false, 1, 0.5]);
    assert.deepEqual(
      cluster.history.map((move) => move.version),
      [1],
    );
  });

  const train = (workId: string) => runTraining(child(workId, { generation: 0, seed: 7 }));

  function child<Payload>(workId: string, payload: Payload): Child<Payload> {
    return {
      payload,
      workId: workId as WorkId,
      fencingToken: 7 as FencingToken,
      nodeId: "worker-1" as NodeId,
      dataDirectory: data,
      progress: () => undefined,
      client: () => cluster.client(),
    };
  }
});
