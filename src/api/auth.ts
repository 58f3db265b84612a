/** The parts of a TLS peer certificate that name its owner (node:tls PeerCertificate has them). */
export interface PeerIdentity {
  readonly subject?: { readonly CN?: string | readonly string[] };
  readonly subjectaltname?: string;
}

/** Who calls without a verified certificate: a loopback or an explicitly insecure listener. */
export const ANONYMOUS = "anonymous";

/**
 * The caller's name from a certificate that TLS has already verified: its common name, else its first DNS name. It replaces
 * whatever the caller says about itself.
 */
export function principalOf(certificate: PeerIdentity | undefined): string {
  const commonName = certificate?.subject?.CN;
  const first = typeof commonName === "string" ? commonName : commonName?.[0];
  if (first !== undefined && first !== "") return first;
  return /(?:^|, )DNS:([^,]+)/.exec(certificate?.subjectaltname ?? "")?.[1] ?? ANONYMOUS;
}
