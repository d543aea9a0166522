/** Test help: an engine with three routes, and an authenticator whose users and delays a test decides. */

import { FakeClock } from '../lib/fake-clock.ts';
import { createRouteTable } from '../route/route-table.ts';
import type { Route } from '../route/types.ts';
import { createAccess } from './access.ts';
import type { AccessOptions, AccessSetup, RevisedAuthenticator } from './access-options.ts';
import type { AccessRules, Asker, Credentials, Identity, Subject } from './types.ts';

export const noOptions: AccessOptions = {
  allow: [],
  deny: [],
  trustedProxies: [],
  hide: false,
  perIdentity: undefined,
  perAddress: undefined,
  certificate: undefined,
};

export function testRoute(name: string, patterns: readonly string[], rules: Partial<AccessRules>): Route {
  return {
    name,
    patterns,
    isPrivate: name !== 'public',
    sources: undefined,
    access: { read: [], publish: [], admin: [], allow: [], deny: [], ...rules },
    checksums: undefined,
    freshMs: { list: undefined, query: undefined },
    keepMs: undefined,
  };
}

export const group = (name: string): Subject => ({ kind: 'group', name });
const admins = [group('admins')];

export const testRoutes: readonly Route[] = [
  testRoute('team-a', ['corp.example/team-a'], {
    read: [group('team-a'), { kind: 'tokens' }],
    publish: [group('team-a'), { kind: 'token', name: 'ci' }],
    admin: admins,
  }),
  testRoute('private', ['corp.example'], {
    read: [{ kind: 'authenticated' }],
    publish: admins,
    admin: admins,
  }),
  testRoute('public', ['*'], { read: [{ kind: 'anonymous' }], admin: admins }),
];

export function user(name: string, groups: readonly string[] = []): Identity {
  return { kind: 'user', name, groups, scopes: undefined, expiresAtMs: undefined };
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

export function askerWith(authorization: string | undefined, more: Partial<Asker> = {}): Asker {
  return { authorization, address: '192.0.2.1', forwardedFor: undefined, certificate: undefined, ...more };
}

/** Knows users by their password `good`, and whoever is in `identities`. */
export class PlayedUsers implements RevisedAuthenticator {
  readonly name = 'played';
  readonly identities = new Map<string, Identity>();
  revision = 1;
  asked = 0;
  /** Awaited before each answer; rejects: it cannot be reached. */
  gate: () => Promise<void> = () => Promise.resolve();

  constructor(...identities: readonly Identity[]) {
    for (const identity of identities) this.identities.set(identity.name, identity);
  }

  async authenticate(credentials: Credentials): Promise<Identity | 'wrong' | 'other'> {
    if (credentials.kind !== 'basic') return 'other';
    this.asked += 1;
    await this.gate();
    const identity = this.identities.get(credentials.username);
    if (identity === undefined) return 'other';
    return credentials.password === 'good' ? identity : 'wrong';
  }
}

export function testSetup(
  options: Partial<AccessOptions> = {},
  authenticators: AccessSetup['authenticators'] = [],
  routes: readonly Route[] = testRoutes,
): AccessSetup {
  return { routes: createRouteTable(routes), options: { ...noOptions, ...options }, authenticators };
}

export function testAccess(
  options: Partial<AccessOptions> = {},
  authenticators: AccessSetup['authenticators'] = [],
  routes: readonly Route[] = testRoutes,
) {
  const clock = new FakeClock();
  const unavailable: string[] = [];
  const access = createAccess({
    clock,
    setup: testSetup(options, authenticators, routes),
    onUnavailable: (name, reason) => unavailable.push(`${name}: ${reason}`),
  });
  return { access, clock, unavailable };
}
