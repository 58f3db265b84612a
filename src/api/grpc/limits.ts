/** What one client may ask of the client port (docs/limits.md). */
export interface GrpcLimits {
  /** Bytes of one received frame or unary request; over it the call ends with RESOURCE_EXHAUSTED. Default 4 MiB. */
  readonly maxReceiveBytes: number;
  /** Requests of one stream that are not answered yet; more are refused with OVERLOADED. Default 8,192. */
  readonly maxUnanswered: number;
  /** Watches of one stream; more are refused with QUOTA_EXCEEDED. Default 128. */
  readonly maxWatches: number;
  /** Events that one watch may have waiting for a slow reader before it is ended with OVERLOADED. Default 65,536. */
  readonly maxBufferedEvents: number;
  /** HTTP/2 streams per connection. Default 256. */
  readonly maxConcurrentStreams: number;
  /** Memory of one HTTP/2 session in MB (node:http2 maxSessionMemory). Default 64. */
  readonly maxSessionMemoryMb: number;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
}

export const defaultGrpcLimits: GrpcLimits = {
  maxReceiveBytes: 4_194_304,
  maxUnanswered: 8_192,
  maxWatches: 128,
  maxBufferedEvents: 65_536,
  maxConcurrentStreams: 256,
  maxSessionMemoryMb: 64,
  keepaliveMs: 10_000,
  keepaliveTimeoutMs: 5_000,
};
