import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { StreamEvents } from "#ports";
import { listenTcp } from "../../src/host/tcp.ts";
import { bindUdp } from "../../src/host/udp.ts";

test("datagrams go out and come in with the sender's endpoint, and what cannot be sent is lost without a word", async () => {
  const [a, b] = [await bindUdp("127.0.0.1:0"), await bindUdp("127.0.0.1:0")];
  try {
    const { promise, resolve } = Promise.withResolvers<readonly [port: number, text: string]>();
    b.receive((from, bytes) => resolve([from.port, Buffer.from(bytes).toString()]));
    a.send("[2001:db8::1]:9", Buffer.from("nobody"));
    a.send(`127.0.0.1:${b.port}`, Buffer.from("hello"));
    assert.deepEqual(await promise, [a.port, "hello"]);
    await assert.rejects(bindUdp(`127.0.0.1:${b.port}`), { code: "EADDRINUSE" });
  } finally {
    a.close();
    b.close();
  }
});

test("one socket of both families writes to IPv4 members too", async () => {
  const [both, v4] = [await bindUdp("[::]:0"), await bindUdp("127.0.0.1:0")];
  try {
    const { promise, resolve } = Promise.withResolvers<string>();
    v4.receive((from) => resolve(from.host));
    both.send(`127.0.0.1:${v4.port}`, Buffer.from("x"));
    assert.equal(await promise, "127.0.0.1");
  } finally {
    both.close();
    v4.close();
  }
});

test("a stream carries bytes both ways and tells its end once: cleanly closed, refused, or not open in time", async () => {
  const port = await listenTcp("127.0.0.1:0");
  try {
    port.accept((_, stream) => ({
      onBytes: (bytes) => stream.write(Buffer.concat([Buffer.from("> "), bytes])),
      onClosed: () => {},
    }));
    const events = watch();
    const stream = port.dial(`127.0.0.1:${port.port}`, 1_000, events);
    await events.opened;
    stream.write(Buffer.from("hi"));
    assert.equal(await events.firstBytes, "> hi");
    stream.close();
    await pause(50);
    assert.equal(events.closed, null, "no event after one's own close");

    port.accept(() => null);
    const refused = watch();
    port.dial(`127.0.0.1:${port.port}`, 1_000, refused);
    await refused.over;
    const absent = watch();
    port.dial("127.0.0.1:1", 1_000, absent);
    assert.equal(await absent.over, true);
    // TEST-NET-1: nobody answers, or the network says at once that it has no way there.
    const silent = watch();
    port.dial("192.0.2.1:9", 50, silent);
    assert.equal(await silent.over, true);
  } finally {
    port.close();
  }
});

test("a peer that does not read loses the stream before what is written to it fills the memory", async () => {
  const port = await listenTcp("127.0.0.1:0");
  try {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    port.accept((_, stream) => {
      setImmediate(() => {
        for (let megabytes = 0; megabytes < 64; megabytes++) stream.write(Buffer.alloc(1_048_576));
      });
      return { onBytes: () => {}, onClosed: resolve };
    });
    const deaf = connect({ host: "127.0.0.1", port: port.port });
    deaf.on("error", () => {});
    await once(deaf, "connect");
    assert.equal(await promise, true);
    deaf.destroy();
  } finally {
    port.close();
  }
});

test("a full view of the largest cluster, written at once, reaches a peer that is slow to read", async () => {
  const members = 20_000;
  const port = await listenTcp("127.0.0.1:0", members);
  try {
    const view = Buffer.alloc(members * 450, 7);
    port.accept((_, stream) => {
      setImmediate(() => {
        for (let at = 0; at < view.length; at += 1_000_000) stream.write(view.subarray(at, at + 1_000_000));
        stream.close();
      });
      return { onBytes: () => {}, onClosed: () => {} };
    });
    const slow = connect({ host: "127.0.0.1", port: port.port });
    await once(slow, "connect");
    await pause(50);
    let read = 0;
    slow.on("data", (bytes) => (read += bytes.length));
    await once(slow, "close");
    assert.equal(read, view.length);
  } finally {
    port.close();
  }
});

function watch() {
  const opened = Promise.withResolvers<void>();
  const firstBytes = Promise.withResolvers<string>();
  const over = Promise.withResolvers<boolean>();
  const events: StreamEvents & { onOpen(): void } = {
    onOpen: () => opened.resolve(),
    onBytes: (bytes) => firstBytes.resolve(Buffer.from(bytes).toString()),
    onClosed: (failed) => {
      seen.closed = failed;
      over.resolve(failed);
    },
  };
  const seen = {
    ...events,
    opened: opened.promise,
    firstBytes: firstBytes.promise,
    over: over.promise,
    closed: null as boolean | null,
  };
  return seen;
}
