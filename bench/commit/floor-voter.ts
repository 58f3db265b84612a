/**
 * One process of the floor: what no replicated log on the same streams and the same disk can avoid. It moves opaque
 * buffers, batches what one loop turn brings, writes and syncs each batch, and counts a majority. No terms, no elections, no
 * recovery, nothing decoded. Run as: floor-voter FILE OWN_PORT [FOLLOWER_PORT FOLLOWER_PORT]; with followers it leads.
 */
import { fdatasync, openSync, writeSync } from "node:fs";
import * as grpc from "@grpc/grpc-js";
import { channelOptions, connectPath, rawMethod } from "./floor-wire.ts";

const [file, ownPort, ...followerPorts] = process.argv.slice(2);
const log = openSync(file!, "w");
// Zero-filled ahead, like a real log's segments: a sync of a preallocated file needs no metadata.
const PREALLOCATED = 64 * 1024 * 1024;
for (let at = 0, zeros = Buffer.alloc(1 << 20); at < PREALLOCATED; at += zeros.length) writeSync(log, zeros, 0, zeros.length, at);

type Stream = grpc.ServerDuplexStream<Buffer, Buffer> | grpc.ClientDuplexStream<Buffer, Buffer>;

let position = 0;
function append(batch: Buffer, done: () => void): void {
  if (position + batch.length > PREALLOCATED) position = 0;
  writeSync(log, batch, 0, batch.length, position);
  position += batch.length;
  fdatasync(log, (error) => {
    if (error) throw error;
    done();
  });
}

/** Follower: writes what gathered while the last batch synced, then acknowledges how many frames are durable. */
function follow(stream: Stream): void {
  let frames: Buffer[] = [];
  let syncing = false;
  let durable = 0;
  stream.on("data", (frame: Buffer) => {
    frames.push(frame);
    if (!syncing) setImmediate(flush);
    syncing = true;
  });
  stream.on("error", () => {});
  function flush(): void {
    const batch = frames;
    frames = [];
    append(Buffer.concat(batch), () => {
      durable += batch.length;
      const ack = Buffer.alloc(8);
      ack.writeDoubleLE(durable);
      stream.write(ack);
      if (frames.length > 0) flush();
      else syncing = false;
    });
  }
}

/** Leader: one batch per loop turn to both followers and the own disk; replies when two of the three have it. */
function lead(followers: readonly Stream[]): (stream: Stream) => void {
  let gathered: { stream: Stream; frame: Buffer }[] = [];
  const sent: { replies: Map<Stream, number> }[] = [];
  let sentCount = 0;
  let answered = 0;
  const durable = [0, ...followers.map(() => 0)];
  let ownPending: Buffer[] = [];
  let syncing = false;
  followers.forEach((follower, at) => {
    follower.on("data", (ack: Buffer) => {
      durable[at + 1] = ack.readDoubleLE();
      answer();
    });
    follower.on("error", () => {});
  });
  function send(): void {
    const replies = new Map<Stream, number>();
    for (const { stream, frame } of gathered) replies.set(stream, (replies.get(stream) ?? 0) + frame.length);
    const batch = Buffer.concat(gathered.map((one) => one.frame));
    gathered = [];
    sent.push({ replies });
    sentCount += 1;
    for (const follower of followers) follower.write(batch);
    ownPending.push(batch);
    if (!syncing) sync();
  }
  function sync(): void {
    syncing = true;
    const batches = ownPending;
    ownPending = [];
    append(Buffer.concat(batches), () => {
      durable[0]! += batches.length;
      if (ownPending.length > 0) sync();
      else syncing = false;
      answer();
    });
  }
  function answer(): void {
    const majority = durable.toSorted((a, b) => b - a)[1]!;
    while (answered < majority && answered < sentCount) {
      for (const [stream, bytes] of sent.shift()!.replies) {
        const reply = Buffer.alloc(8);
        reply.writeDoubleLE(bytes);
        stream.write(reply);
      }
      answered += 1;
    }
  }
  return (stream) => {
    stream.on("data", (frame: Buffer) => {
      if (gathered.length === 0) setImmediate(send);
      gathered.push({ stream, frame });
    });
    stream.on("error", () => {});
  };
}

const followers = followerPorts.map((port) => {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), channelOptions);
  return client.makeBidiStreamRequest(connectPath, rawMethod.requestSerialize, rawMethod.responseDeserialize);
});
const server = new grpc.Server(channelOptions);
server.addService({ connect: rawMethod }, { connect: followers.length > 0 ? lead(followers) : follow });
server.bindAsync(`127.0.0.1:${ownPort}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  process.stdout.write("ready\n");
});
