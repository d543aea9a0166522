/** A gate for tests: everybody may read everything, unless a script says otherwise. */
import type { Access, Decision } from '../access/types.ts';
import { anonymous } from '../access/types.ts';
import type { AuditEntry } from '../audit/types.ts';
import { systemClock } from '../lib/clock.ts';
import { Gate } from './gate.ts';

export interface TestGate {
  readonly gate: Gate;
  readonly audited: AuditEntry[];
}

/** `access` replaces single methods of one that lets everybody in. */
export function testGate(access: Partial<Access> = {}, hasSources = true): TestGate {
  const audited: AuditEntry[] = [];
  const allowed: Decision = { allowed: true, identity: anonymous, address: '127.0.0.1' };
  const gate = new Gate({
    access: {
      decideNow: () => allowed,
      decide: async () => allowed,
      identify: async () => allowed,
      isOpen: () => true,
      admitAddress: () => allowed,
      ...access,
    },
    audit: { note: (entry) => audited.push(entry) },
    clock: systemClock,
    askerOf: (request) => ({
      authorization: request.headers.authorization,
      address: request.socket.remoteAddress ?? '',
      forwardedFor: undefined,
      certificate: undefined,
    }),
    hasSources: () => hasSources,
  });
  return { gate, audited };
}
