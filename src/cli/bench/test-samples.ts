/** Test help: samples and mirrors by the few fields that matter to a test. */
import { directRule } from '../../outbound/proxy-rule.ts';
import type { BenchFaultKind, BenchMirror, Sample } from './bench-types.ts';

export function mirror(name: string): BenchMirror {
  return {
    name,
    url: `https://${name}`,
    isPrivate: false,
    proxy: directRule,
    caFile: undefined,
    clientCertificate: undefined,
  };
}

export function sample(name: string, more: Partial<Sample> = {}): Sample {
  return {
    mirror: name,
    module: 'example.com/a',
    version: 'v1.0.0',
    kind: 'info',
    round: 1,
    dnsMs: null,
    connectMs: null,
    proxyMs: null,
    tlsMs: null,
    redirectMs: null,
    firstByteMs: 50,
    totalMs: 60,
    status: 200,
    isReused: true,
    isProxied: false,
    redirects: 0,
    remoteAddress: '127.0.0.1:1',
    sizeBytes: 100,
    identity: null,
    fault: null,
    ...more,
  };
}

export function failed(name: string, kind: BenchFaultKind, more: Partial<Sample> = {}): Sample {
  return sample(name, {
    firstByteMs: null,
    status: null,
    fault: { kind, message: `it was ${kind}` },
    ...more,
  });
}

export function zip(name: string, h1: string | null, more: Partial<Sample> = {}): Sample {
  return sample(name, { kind: 'zip', identity: h1, sizeBytes: 1000, ...more });
}
