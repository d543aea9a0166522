import { describe, expect, it } from 'vitest';
import type { Provenance } from '../proxy/types.ts';
import { provenanceHeaders } from './provenance.ts';

const from = { origin: 'goproxy.cn', atMs: Date.UTC(2026, 0, 2) };
const bySumdb: Provenance = {
  ...from,
  proof: { by: 'sumdb', database: 'sum.golang.org', recordId: 7, treeSize: 9, atMs: 1 },
};

describe('headers that tell where an artifact comes from', () => {
  it('name the proof and no upstream, unless that is asked for', () => {
    expect(provenanceHeaders(bySumdb, 'proof')).toEqual(['X-Modferry-Proof', 'sumdb sum.golang.org 7 9']);
    expect(provenanceHeaders(bySumdb, 'full')).toEqual([
      'X-Modferry-Proof',
      'sumdb sum.golang.org 7 9',
      'X-Modferry-Source',
      'goproxy.cn',
      'X-Modferry-Stored-At',
      '2026-01-02T00:00:00.000Z',
    ]);
    expect(provenanceHeaders(bySumdb, 'off')).toEqual([]);
    expect(provenanceHeaders(undefined, 'full')).toEqual([]);
  });

  it.each([
    [{ proof: { by: 'go.sum', label: '/home/ann/app/go.sum', atMs: 1 } }, 'go.sum'],
    [{ proof: { by: 'operator', reason: 'known', atMs: 1 } }, 'operator'],
    [{ unproven: 'off' }, 'none off'],
    [{ unproven: 'unreachable' }, 'none unreachable'],
  ] as const)('tell %j as %s, in plain ASCII', (trust, text) => {
    expect(provenanceHeaders({ ...from, ...trust }, 'proof')).toEqual(['X-Modferry-Proof', text]);
  });

  it('name an import only where upstreams are named', () => {
    const trust = { proof: { by: 'go.sum', label: 'app\r\nX: y é', atMs: 1 } } as const;
    expect(provenanceHeaders({ ...from, ...trust }, 'full').slice(0, 2)).toEqual([
      'X-Modferry-Proof',
      'go.sum app??X: y ?',
    ]);
  });

  it('are left out where nothing is known', () => {
    expect(provenanceHeaders(from, 'proof')).toEqual([]);
    expect(provenanceHeaders({ ...from, unproven: 'none' }, 'proof')).toEqual([]);
  });
});
