/**
 * The contracts between the house and the world. Types only. `host/` fills them with the real world, `sim/` (later) with
 * a simulated one; nothing else differs between the two.
 */
export type { Aead, AeadKey } from "./aead.ts";
export type { Clock, Stamp, Timers, Timer } from "./clock.ts";
export type { DatagramSocket, Endpoint } from "./datagram.ts";
export type { Disk, DiskFile, DirectoryLock } from "./disk.ts";
export type { HttpGet, HttpGetFailure, HttpGetResult } from "./http-get.ts";
export type { PeerLinks, PeerLinkEvents } from "./peer-link.ts";
export type { Log, LogFields } from "./log.ts";
export type { PulseFeed, PulseRequest, PulseSnapshot } from "./pulse.ts";
export type { ByteStream, StreamEvents, StreamPort } from "./stream.ts";
