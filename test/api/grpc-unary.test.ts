import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Metadata, type ServiceError, credentials, Client, status } from "@grpc/grpc-js";
import { refusal, seededRandom } from "#kernel";
import { ListenError, REFUSAL_TRAILER, createGrpcServer, defaultGrpcLimits } from "#api";
import { decodeCommand, decodeMessage, encodeMessage } from "#codec";
import { MembersRequest, MembersResponse, StatusRequest, StatusResponse } from "#gen/ringraft/v1/cluster.js";
import { LockResponse, ReleaseLockRequest } from "#gen/ringraft/v1/lock.js";
import { Refusal } from "#gen/ringraft/v1/refusal.js";
import { OpenSessionRequest, SessionResponse } from "#gen/ringraft/v1/session.js";
import { WatchBatch, WatchRequest } from "#gen/ringraft/v1/watch.js";
import {
  ClaimRequest,
  ClaimResponse,
  GetWorkRequest,
  ListWorkRequest,
  ListWorkResponse,
  WorkResponse,
} from "#gen/ringraft/v1/work.js";
import { principalOf } from "../../src/api/auth.ts"; // the door has no export for it: only the doors themselves ask who calls
import { clientServices } from "../../src/api/grpc/reflection.ts"; // the list that the tests below hold the server against
import { Samples } from "../codec/samples.ts";
import { decided, fenced, notLeader } from "./fake-replica.ts";
import { startDoors, unary } from "./grpc-fixture.ts";

const claimPath = "/ringraft.v1.WorkService/Claim";
const claimTypes = { request: ClaimRequest, response: ClaimResponse };
const claim = ClaimRequest.create({ workerId: "w1", queues: ["q"], waitMs: 500 });

function trailerOf(error: ServiceError | null) {
  const [bytes] = error?.metadata.get(REFUSAL_TRAILER) ?? [];
  assert.ok(Buffer.isBuffer(bytes), "the error has no refusal trailer");
  return decodeMessage(Refusal, bytes);
}

test("a unary write becomes the same command as in the stream, session and sequence from the metadata", async (t) => {
  const { replica, client } = await startDoors(t);
  const items = [new Samples(seededRandom(1)).workItem()];
  replica.answerNow = () => decided({ kind: "claimed", items }, 77);
  const metadata = new Metadata();
  metadata.set("ringraft-session", "s1");
  metadata.set("ringraft-sequence", "12");
  const deadline = Date.now() + 5_000;
  const { value, error } = await unary(client, claimPath, claimTypes, claim, { metadata, deadline });
  assert.equal(error, null);
  assert.equal(value!.items.length, 1);
  assert.deepEqual(
    { ...value!.header },
    { clusterId: "c1", memberId: "n1", leaderId: "n2", term: 3, revision: 77, clusterTimeMs: 1_000 },
  );
  const { request } = replica.submitted[0]!;
  const decoded = decodeCommand(request.command);
  assert.deepEqual(decoded, {
    ok: true,
    value: {
      command: {
        sessionId: "s1",
        sequence: 12,
        firstUnackedSequence: 0,
        operation: { kind: "claimWork", workerId: "w1", queues: ["q"], maxItems: 1 },
      },
      waitMs: 500,
    },
  });
  assert.ok(request.timeoutMs !== null && request.timeoutMs > 0 && request.timeoutMs <= 5_000);
});

test("a refusal becomes its status code, and the whole of it the trailer", async (t) => {
  const { replica, client } = await startDoors(t);
  replica.answerNow = fenced;
  const refused = await unary(client, claimPath, claimTypes, claim);
  assert.equal(refused.error?.code, 9);
  assert.match(refused.error.details, /^FENCED: /);
  assert.deepEqual([trailerOf(refused.error).reason, trailerOf(refused.error).field], ["FENCED", "fencing_token"]);
  replica.answerNow = notLeader;
  const elsewhere = await unary(client, claimPath, claimTypes, claim);
  assert.equal(elsewhere.error?.code, 14);
  assert.equal(trailerOf(elsewhere.error).leaderAddress, "127.0.0.1:2");
});

test("a sequence that is no number, and a field of a newer version, are INVALID_ARGUMENT (3)", async (t) => {
  const { replica, client } = await startDoors(t);
  const metadata = new Metadata();
  metadata.set("ringraft-sequence", "-1");
  const bad = await unary(client, claimPath, claimTypes, claim, { metadata });
  assert.deepEqual([bad.error?.code, trailerOf(bad.error).field], [3, "ringraft-sequence"]);
  const newer = { request: MembersResponse, response: ClaimResponse };
  const message = MembersResponse.create({ members: [{ nodeId: "n", clientAddress: "", voter: true, leader: false }] });
  const unknown = await unary(client, "/ringraft.v1.WorkService/Requeue", newer, message);
  assert.equal(unknown.error?.code, 3);
  assert.equal(replica.submitted.length, 0);
});

test("a caller that goes away is abandoned", async (t) => {
  const { replica, client } = await startDoors(t);
  const { error } = await unary(client, claimPath, claimTypes, claim, { deadline: Date.now() + 50 });
  assert.equal(error?.code, 4);
  await replica.until(() => replica.abandoned.length === 1);
  assert.equal(replica.abandoned[0], replica.submitted[0]!.request);
});

test("reads answer with header, refusals with NOT_FOUND (5)", async (t) => {
  const { replica, client } = await startDoors(t);
  replica.reader = { work: () => null };
  const types = { request: GetWorkRequest, response: WorkResponse };
  const missing = await unary(client, "/ringraft.v1.WorkService/Get", types, { workId: "w1" });
  assert.deepEqual([missing.error?.code, trailerOf(missing.error).reason], [5, "NOT_FOUND"]);
  const answer = await unary(
    client,
    "/ringraft.v1.ClusterService/Status",
    { request: StatusRequest, response: StatusResponse },
    {},
  );
  assert.deepEqual(
    [answer.value!.role, answer.value!.commitIndex, answer.value!.header!.leaderId, answer.value!.header!.revision],
    ["follower", 42, "n2", 41],
  );
  const members = await unary(
    client,
    "/ringraft.v1.ClusterService/Members",
    { request: MembersRequest, response: MembersResponse },
    {},
  );
  assert.deepEqual(
    members.value!.members.map(({ nodeId, leader }) => [nodeId, leader]),
    [
      ["n1", false],
      ["n2", true],
    ],
  );
});

test("a list is paged: one more is looked for, an enormous limit is cut to 1,000 (catalogue 43)", async (t) => {
  const { replica, client } = await startDoors(t);
  const samples = new Samples(seededRandom(4));
  const items = Array.from({ length: 3 }, (_, i) => ({ ...samples.workItem(), workId: `w${i}` }));
  const limits: number[] = [];
  replica.reader = {
    listWork: (filter) => {
      limits.push(filter.limit);
      return items.slice(0, filter.limit) as never;
    },
  };
  const list = (limit: number) =>
    unary(
      client,
      "/ringraft.v1.WorkService/List",
      { request: ListWorkRequest, response: ListWorkResponse },
      ListWorkRequest.create({ limit }),
    );
  const page = (await list(2)).value!;
  assert.deepEqual([page.items.map((item) => item.workId), page.nextPageToken], [["w0", "w1"], "w1"]);
  assert.equal((await list(1e9)).value!.nextPageToken, "");
  await list(0);
  assert.deepEqual(limits, [3, 1_001, 101]);
});

test("an empty message is refused with the name of the missing field (catalogue 31)", async (t) => {
  const { replica, client } = await startDoors(t);
  // The replica decodes: the door only shows that the command reaches it as it was asked.
  replica.answerNow = ({ command }) => {
    const decoded = decodeCommand(command);
    assert.equal(decoded.ok, false);
    return { kind: "refused", refusal: decoded.ok ? refusal("INTERNAL", "accepted") : decoded.refusal };
  };
  const lock = await unary(
    client,
    "/ringraft.v1.LockService/Release",
    { request: ReleaseLockRequest, response: LockResponse },
    ReleaseLockRequest.create(),
  );
  assert.deepEqual([lock.error?.code, trailerOf(lock.error).field], [3, "name"]);
  const session = await unary(
    client,
    "/ringraft.v1.SessionService/Open",
    { request: OpenSessionRequest, response: SessionResponse },
    OpenSessionRequest.create(),
  );
  assert.deepEqual([session.error?.code, trailerOf(session.error).field], [3, "node_id"]);
});

test("the watch service streams batches and ends with a status", async (t) => {
  const { replica, client } = await startDoors(t);
  const call = client.makeServerStreamRequest(
    "/ringraft.v1.WatchService/Watch",
    (message: WatchRequest) => Buffer.from(encodeMessage(WatchRequest, message)),
    (bytes) => decodeMessage(WatchBatch, bytes),
    WatchRequest.create({ kinds: ["lock"] }),
  );
  const batches: WatchBatch[] = [];
  const { promise, resolve } = Promise.withResolvers<ServiceError>();
  call.on("data", (batch: WatchBatch) => batches.push(batch));
  call.on("error", (error) => resolve(error as ServiceError));
  await replica.until(() => replica.watches.length === 1);
  const { sink } = replica.watches[0]!;
  sink.push({ revision: 8, events: [], snapshot: null, snapshotEnd: false } as never);
  sink.end(refusal("COMPACTED", "the first revision left is 9"));
  const error = await promise;
  assert.deepEqual([error.code, trailerOf(error).reason], [11, "COMPACTED"]);
  assert.deepEqual(
    batches.map(({ revision }) => revision),
    [8],
  );
});

test("a unary request over the limit is RESOURCE_EXHAUSTED, an unknown method UNIMPLEMENTED (catalogue 33, 34)", async (t) => {
  const { client } = await startDoors(t, { maxReceiveBytes: 4_096 });
  const large = ClaimRequest.create({ workerId: "w".repeat(5_000) });
  assert.equal((await unary(client, claimPath, claimTypes, large)).error?.code, 8);
  assert.equal((await unary(client, "/ringraft.v1.WorkService/Nope", claimTypes, claim)).error?.code, 12);
});

test("the health service follows the node", async (t) => {
  const { client, api } = await startDoors(t);
  const check = async (service: string) => {
    // HealthCheckRequest.service = 1; HealthCheckResponse.status = 1 (1 SERVING, 2 NOT_SERVING).
    const request = Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)]);
    const same = (bytes: Buffer): Buffer => bytes;
    const { promise, resolve } = Promise.withResolvers<number | ServiceError>();
    client.makeUnaryRequest("/grpc.health.v1.Health/Check", same, same, request, (error, bytes) =>
      resolve(error ?? (bytes as Buffer)[1]!),
    );
    return promise;
  };
  assert.deepEqual([await check(""), await check("ringraft.v1.WorkService")], [1, 1]);
  api.setServing(false);
  assert.equal(await check(""), 2);
  const unknown = await check("pod");
  assert.ok(typeof unknown === "object" && unknown.code === status.NOT_FOUND);
});

for (const version of ["v1", "v1alpha"]) {
  test(`reflection ${version} lists every service and describes their files`, async (t) => {
    const { client } = await startDoors(t);
    const same = (bytes: Buffer): Buffer => bytes;
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(path, same, same);
    const answers: Buffer[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    call.on("data", (bytes: Buffer) => {
      if (answers.push(bytes) === 2) resolve();
    });
    // list_services = 7; file_containing_symbol = 4.
    call.write(Buffer.from([0x3a, 0x01, 0x2a]));
    const symbol = "ringraft.v1.WorkService";
    call.write(Buffer.concat([Buffer.from([0x22, symbol.length]), Buffer.from(symbol)]));
    await promise;
    call.end();
    const [list, file] = answers.map((bytes) => bytes.toString("latin1"));
    for (const service of clientServices) assert.ok(list!.includes(service.typeName), `${service.typeName} is not listed`);
    for (const word of ["EnqueueRequest", "fencing_token", "WORK_STATE_UNSPECIFIED", "LabelsEntry", "expected_alias_revision"]) {
      assert.ok(file!.includes(word), `${word} is not described`);
    }
  });
}

test("every method of the protocol is served: none answers UNIMPLEMENTED", async (t) => {
  const { client, replica } = await startDoors(t);
  replica.answerNow = fenced;
  replica.reader = {
    listWork: () => [],
    listJobs: () => [],
    listModels: () => [],
    listLocks: () => [],
    listSessions: () => [],
    listNodes: () => [],
    partition: () => null,
    featureLevel: () => 0,
  };
  for (const service of clientServices) {
    for (const method of service.methods) {
      if (method.clientStreaming || method.serverStreaming) continue;
      const types = { request: method.I, response: method.O };
      const { error } = await unary(client, `/${service.typeName}/${method.name}`, types, method.I.create());
      assert.notEqual(error?.code, status.UNIMPLEMENTED, `${service.typeName}/${method.name}`);
      if (error !== null)
        assert.ok(
          ["FENCED", "INVALID_ARGUMENT", "NOT_LEADER", "BAD_STATE", "NOT_FOUND"].includes(trailerOf(error).reason),
          method.name,
        );
    }
  }
});

test("a port in use is named, with the code that systems use for it", async (t) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  t.after(() => taken.close());
  const { port } = taken.address() as { readonly port: number };
  const server = createGrpcServer({ tls: null, limits: defaultGrpcLimits });
  await assert.rejects(server.listen("127.0.0.1", port), (error) => {
    assert.ok(error instanceof ListenError);
    assert.equal(error.code, "EADDRINUSE");
    assert.match(error.message, new RegExp(`port ${port} is already in use`));
    return true;
  });
  await server.close(10);
});

test("TLS: the server proves itself, and a client certificate is asked for when a CA for clients is given", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "ringraft-tls-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = (name: string): string => join(directory, name);
  const subject = ["-subj", "/CN=worker-7", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const keyPair = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const made = spawnSync("openssl", ["req", ...keyPair, "-keyout", file("key"), "-out", file("cert"), ...subject]);
  if (made.status !== 0) {
    t.skip("no openssl here to make certificates with");
    return;
  }
  const [cert, key] = [readFileSync(file("cert")), readFileSync(file("key"))];
  const { replica, port } = await startDoors(t, {}, { cert, key, clientCa: cert });
  replica.answerNow = fenced;
  const codeWith = async (secret: ReturnType<typeof credentials.createSsl>) => {
    const client = new Client(`localhost:${port}`, secret);
    const { error } = await unary(client, claimPath, claimTypes, claim);
    client.close();
    return error?.code;
  };
  assert.equal(await codeWith(credentials.createSsl(cert, key, cert)), status.FAILED_PRECONDITION);
  assert.equal(replica.submitted[0]!.request.principal, "worker-7");
  assert.equal(await codeWith(credentials.createSsl(cert)), status.UNAVAILABLE);
  assert.equal(await codeWith(credentials.createInsecure()), status.UNAVAILABLE);
  assert.equal(replica.submitted.length, 1);
});

test("HTTP/1 on the client port is closed without harm to others (catalogue 34)", async (t) => {
  const { client, port, replica } = await startDoors(t);
  replica.answerNow = fenced;
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("data", () => {});
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await closed;
  assert.equal((await unary(client, claimPath, claimTypes, claim)).error?.code, 9);
});

test("a principal is the certificate's common name, else its first DNS name, else anonymous", () => {
  assert.equal(principalOf({ subject: { CN: "worker-7" }, subjectaltname: "DNS:other" }), "worker-7");
  assert.equal(principalOf({ subject: {}, subjectaltname: "IP Address:10.0.0.1, DNS:worker-8, DNS:x" }), "worker-8");
  assert.equal(principalOf(undefined), "anonymous");
});
