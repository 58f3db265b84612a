/** What runs without `--scenario`. */
export const SINGLE_CRASH = `holds: A crash is known everywhere within seconds, and nobody else is declared dead.
source: conformance 1 (single crash), with the targets of the mesh profile

nodes 36
profile mesh
delay uniform 10ms 40ms

at 0s kill random 1
run 60s

expect undetected = 0
expect known-everywhere p50 <= 7s
expect known-everywhere p99 <= 10s
expect known-everywhere max <= 40s
expect false-deaths = 0
`;
